//! Draws curves over steps as SVG. A page can set the colours; a single file has defaults.

use std::fmt::Write;

use super::document::escape;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 40.0;

/// Colours that colour-blind readers can tell apart.
const COLOURS: [&str; 6] = ["#1f5fb0", "#d0701f", "#7a4fb5", "#1c8a86", "#b0326b", "#6b6b1f"];

/// Holds one curve and its range.
pub struct Series {
    /// Its name in the legend; empty for none.
    pub label: String,
    /// Single values, drawn as a thin line.
    pub raw: Vec<(f64, f64)>,
    /// Their moving mean, drawn as a thick line.
    pub smooth: Vec<(f64, f64)>,
    /// Step, lowest and highest value over seeds.
    pub band: Option<Vec<(f64, f64, f64)>>,
}

/// Holds a single value with its name.
pub struct Mark {
    /// The step.
    pub x: f64,
    /// The value.
    pub y: f64,
    /// Its name.
    pub label: String,
    /// Whether the name begins at the mark instead of ending there.
    pub at_the_left: bool,
}

/// Describes a picture of curves over training steps.
pub struct Chart {
    /// Its title.
    pub title: String,
    /// Whether values are shares, shown on an axis from 0 to 100 %.
    pub percent: bool,
    /// The lines.
    pub series: Vec<Series>,
    /// Single values.
    pub marks: Vec<Mark>,
}

/// Maps data to positions in the picture.
struct Scale {
    last: f64,
    ticks: Vec<f64>,
}

impl Scale {
    fn x(&self, step: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * step / self.last
    }

    fn y(&self, value: f64) -> f64 {
        let (low, high) = (self.ticks[0], self.ticks[self.ticks.len() - 1]);
        TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)
    }

    fn path(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let mut path = String::new();
        for (at, (step, value)) in points.enumerate() {
            let command = if at == 0 { 'M' } else { 'L' };
            write!(path, "{command}{:.1} {:.1}", self.x(step), self.y(value))
                .expect("a string takes any text");
        }
        path
    }
}

impl Chart {
    /// Draws the picture.
    pub fn svg(&self) -> String {
        let scale = self.scale();
        let mut out = vec![format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n\
             <title>{title}</title>\n\
             <rect width=\"100%\" height=\"100%\" style=\"fill:var(--paper,#fff)\"/>\n\
             <text x=\"{LEFT}\" y=\"20\" font-size=\"14\" style=\"fill:var(--ink,#222)\">{title}</text>\n",
            title = escape(&self.title)
        )];
        self.grid(&scale, &mut out);
        for (number, series) in self.series.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            if let Some(band) = &series.band {
                let there = band.iter().map(|&(step, low, _)| (step + 0.5, low));
                let back = band.iter().rev().map(|&(step, _, high)| (step + 0.5, high));
                let path = scale.path(there.chain(back));
                out.push(format!("<path d=\"{path}Z\" fill=\"{colour}\" opacity=\"0.16\"/>\n"));
            }
            for (points, style) in
                [(&series.raw, "opacity=\"0.4\""), (&series.smooth, "stroke-width=\"2.5\"")]
            {
                let path = scale.path(points.iter().map(|&(step, value)| (step + 0.5, value)));
                out.push(format!("<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" {style}/>\n"));
            }
        }
        self.legend(&mut out);
        for mark in &self.marks {
            let (x, y) = (scale.x(mark.x), scale.y(mark.y));
            let anchor = if mark.at_the_left { "start" } else { "end" };
            out.push(format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"#d04a1f\"/>\n"));
            out.push(format!(
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" fill=\"#d04a1f\">{}</text>\n",
                y - 10.0,
                escape(&mark.label)
            ));
        }
        out.push("</svg>\n".into());
        out.concat()
    }

    fn scale(&self) -> Scale {
        let lines = || self.series.iter().flat_map(|series| series.raw.iter().chain(&series.smooth));
        let bands = || self.series.iter().filter_map(|series| series.band.as_ref()).flatten();
        let steps = lines().map(|(step, _)| step + 1.0).chain(self.marks.iter().map(|mark| mark.x));
        let last = steps.fold(1.0, f64::max);
        if self.percent {
            return Scale { last, ticks: (0..=5).map(|tick| f64::from(tick) / 5.0).collect() };
        }
        let values = || {
            let ends = bands().flat_map(|&(_, low, high)| [low, high]);
            lines().map(|&(_, y)| y).chain(ends).filter(|value| value.is_finite())
        };
        let (low, high) =
            (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        Scale { last, ticks: if low <= high { ticks(low, high) } else { vec![0.0, 1.0] } }
    }

    fn grid(&self, scale: &Scale, out: &mut Vec<String>) {
        for &value in &scale.ticks {
            let at = scale.y(value);
            let label = if self.percent { format!("{:.0} %", value * 100.0) } else { number(value) };
            out.push(format!(
                "<path d=\"M{LEFT} {at:.1}H{:.1}\" style=\"stroke:var(--line,#ddd)\"/>\n\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" style=\"fill:var(--soft,#555)\">{label}</text>\n",
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0
            ));
        }
        for step in
            ticks(0.0, scale.last).into_iter().filter(|step| *step <= scale.last && step.fract() == 0.0)
        {
            out.push(format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" style=\"fill:var(--soft,#555)\">{step:.0}</text>\n",
                scale.x(step),
                HEIGHT - BOTTOM + 18.0
            ));
        }
        out.push(format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" style=\"fill:var(--soft,#555)\">step</text>\n",
            f64::midpoint(LEFT, WIDTH - RIGHT),
            HEIGHT - 6.0
        ));
    }

    /// Draws the names of the curves, from the right, where the title leaves room.
    fn legend(&self, out: &mut Vec<String>) {
        let named = self.series.iter().enumerate().filter(|(_, series)| !series.label.is_empty());
        for (row, (number, series)) in named.enumerate() {
            out.push(format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"{}\">{}</text>\n",
                WIDTH - RIGHT,
                18.0 + 15.0 * row as f64,
                COLOURS[number % COLOURS.len()],
                escape(&series.label)
            ));
        }
    }
}

/// Returns round values from below the lowest to above the highest. The axis of a constant begins at 0.
pub(super) fn ticks(low: f64, high: f64) -> Vec<f64> {
    let (low, high) = match (low, high) {
        (low, high) if high > low => (low, high),
        (0.0, _) => (0.0, 1.0),
        (constant, _) => (constant.min(0.0), constant.max(0.0)),
    };
    let spread = high - low;
    let power = 10_f64.powf((spread / 4.0).log10().floor());
    let width =
        [1.0, 2.0, 5.0, 10.0].iter().map(|m| m * power).find(|w| spread / w <= 5.0).unwrap_or(10.0 * power);
    let (first, last) = ((low / width).floor(), (high / width).ceil().max((low / width).floor() + 1.0));
    (0..=(last - first) as usize).map(|i| (first + i as f64) * width).collect()
}

/// Formats a number in about four characters.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".into()
    } else if !(1e-3..1e5).contains(&size) {
        format!("{value:.1e}")
    } else {
        let digits = (2.0 - size.log10().floor()).clamp(0.0, 5.0) as usize;
        let text = format!("{value:.digits$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn higher_values_lie_higher_and_text_is_escaped() {
        let mark = |x, y| Mark { x, y, label: "m".into(), at_the_left: false };
        let series =
            Series { label: "a&b".into(), raw: vec![(0.0, 0.0), (1.0, 1.0)], smooth: vec![], band: None };
        let chart = Chart {
            title: "a<b".into(),
            percent: true,
            series: vec![series],
            marks: vec![mark(0.0, 0.25), mark(2.0, 0.75)],
        };
        let picture = chart.svg();
        assert!(picture.contains("a&lt;b") && picture.contains("a&amp;b") && !picture.contains("a<b"));
        let heights: Vec<f64> = picture
            .split("cy=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
            .collect();
        assert!(heights.len() == 2 && heights[1] < heights[0]);
        let empty = Chart { title: String::new(), percent: false, series: vec![], marks: vec![] };
        assert!(empty.svg().ends_with("</svg>\n"));
    }

    #[test]
    fn ticks_are_round_and_hold_everything() {
        assert_eq!(ticks(0.0, 1.0), [0.0, 0.2, 0.4, 3.0 * 0.2, 0.8, 1.0]);
        for (low, high) in [(3.1, 3.9), (-0.4, 12.0), (1e-6, 3e-6), (5.0, 5.0), (0.0, 0.0), (-2e5, 1e6)] {
            let ticks = ticks(low, high);
            assert!(
                ticks[0] <= low && ticks[ticks.len() - 1] >= high && (2..8).contains(&ticks.len()),
                "{ticks:?}"
            );
        }
        assert_eq!((ticks(0.0, 0.0)[0], ticks(0.0, 0.0).last()), (0.0, Some(&1.0)), "a constant of 0");
        assert_eq!(ticks(4.0, 4.0), [0.0, 1.0, 2.0, 3.0, 4.0], "another one");
        assert_eq!([0.5, 12.0, 1234.5, 1e-5].map(number), ["0.5", "12", "1234", "1.0e-5"]);
    }
}
