//! Draws estimates with their intervals, one a line, in panels.

use std::fmt::{Result, Write};

use turnwise_stats::{Estimate, Interval};

use super::chart::{number, ticks};
use super::document::escape;

const WIDTH: f64 = 720.0;
const LEFT: f64 = 240.0;
const RIGHT: f64 = 24.0;
const ROW: f64 = 22.0;
const TOP: f64 = 34.0;
const HEAD: f64 = 30.0;
const FOOT: f64 = 30.0;
/// The height of a shared axis: its numbers and its title.
const AXIS: f64 = 40.0;

/// Describes a picture of estimates.
pub struct Forest {
    /// Its title.
    pub title: String,
    /// The panels, from top to bottom.
    pub panels: Vec<Panel>,
    /// The axis of all panels, if they share one. Otherwise each has a separate one.
    pub axis: Option<Axis>,
}

/// Holds estimates of one quantity.
pub struct Panel {
    /// The quantity, or what its lines have in common; may be empty.
    pub title: String,
    /// Names and estimates; a line without an estimate shows a dash.
    pub rows: Vec<(String, Option<Estimate>)>,
}

/// Describes an axis of differences, which reaches as far to the left of 0 as to its right.
pub struct Axis {
    /// The quantity.
    pub title: String,
    /// A range behind the lines.
    pub band: Option<Band>,
}

/// Marks a range of values, such as that of a published claim.
pub struct Band {
    /// Its name.
    pub label: String,
    /// Its ends.
    pub ends: Interval,
}

/// Places values from left to right.
struct Scale {
    ticks: Vec<f64>,
    /// Whether numbers have a sign.
    signed: bool,
}

impl Forest {
    /// Draws the picture as an SVG.
    pub fn svg(&self) -> String {
        let mut drawn = String::new();
        let height = match &self.axis {
            Some(axis) => self.on_one(axis, &mut drawn),
            None => self.on_several(&mut drawn),
        };
        let title = escape(&self.title);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {:.0}\" font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n\
             <title>{title}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             <text x=\"16\" y=\"20\" font-size=\"14\" fill=\"#222\">{title}</text>\n{drawn}</svg>\n",
            height.expect("a string takes any text")
        )
    }

    /// Draws panels with separate axes. Returns the height.
    fn on_several(&self, out: &mut String) -> std::result::Result<f64, std::fmt::Error> {
        let mut top = TOP;
        for panel in &self.panels {
            let scale = Scale::around(panel.ends());
            let bottom = top + panel.height();
            panel.head(top, out)?;
            scale.draw(top + panel.head_height(), bottom, out)?;
            panel.lines(top, &scale, out)?;
            top = bottom + FOOT;
        }
        Ok(top)
    }

    /// Draws panels with one axis below them. Returns the height.
    fn on_one(&self, axis: &Axis, out: &mut String) -> std::result::Result<f64, std::fmt::Error> {
        let of_band = axis.band.iter().flat_map(|band| [band.ends.low, band.ends.high]);
        let scale = Scale::of_differences(self.panels.iter().flat_map(Panel::ends).chain(of_band));
        let bottom = TOP + self.panels.iter().map(Panel::height).sum::<f64>();
        if let Some(Band { label, ends }) = &axis.band {
            let [low, high] = [ends.low, ends.high].map(|end| scale.x(end));
            writeln!(
                out,
                "<path d=\"M{low:.1} {TOP:.1}H{high:.1}V{bottom:.1}H{low:.1}Z\" fill=\"#cfe8d5\"/>\n\
                 <text x=\"{:.1}\" y=\"20\" text-anchor=\"end\" fill=\"#2e7d4f\">{}</text>",
                WIDTH - RIGHT,
                escape(label)
            )?;
        }
        scale.draw(TOP, bottom, out)?;
        let mut top = TOP;
        for panel in &self.panels {
            panel.head(top, out)?;
            panel.lines(top, &scale, out)?;
            top += panel.height();
        }
        writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{}</text>",
            scale.x(0.0),
            bottom + AXIS - 6.0,
            escape(&axis.title)
        )?;
        Ok(bottom + AXIS)
    }
}

impl Panel {
    fn head_height(&self) -> f64 {
        if self.title.is_empty() { 0.0 } else { HEAD }
    }

    fn height(&self) -> f64 {
        self.head_height() + ROW * self.rows.len() as f64
    }

    /// Returns all values that have to be in the picture.
    fn ends(&self) -> impl Iterator<Item = f64> {
        self.rows.iter().filter_map(|(_, estimate)| *estimate).flat_map(|estimate| {
            let ends = estimate.interval.map_or([estimate.value; 2], |held| [held.low, held.high]);
            [estimate.value, ends[0], ends[1]]
        })
    }

    fn head(&self, top: f64, out: &mut String) -> Result {
        if self.title.is_empty() {
            return Ok(());
        }
        writeln!(out, "<text x=\"16\" y=\"{:.1}\" fill=\"#555\">{}</text>", top + 18.0, escape(&self.title))
    }

    fn lines(&self, top: f64, scale: &Scale, out: &mut String) -> Result {
        for (row, (name, estimate)) in self.rows.iter().enumerate() {
            let y = top + self.head_height() + ROW * (row as f64 + 0.5);
            writeln!(out, "<text x=\"28\" y=\"{:.1}\" fill=\"#222\">{}</text>", y + 4.0, escape(name))?;
            let Some(estimate) = estimate else {
                writeln!(out, "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"#555\">–</text>", LEFT + 6.0, y + 4.0)?;
                continue;
            };
            if let Some(held) = estimate.interval {
                let (low, high) = (scale.x(held.low), scale.x(held.high));
                writeln!(
                    out,
                    "<path d=\"M{low:.1} {y:.1}H{high:.1}\" stroke=\"#1f5fb0\" stroke-width=\"2.5\"/>"
                )?;
            }
            let middle = scale.x(estimate.value);
            writeln!(out, "<circle cx=\"{middle:.1}\" cy=\"{y:.1}\" r=\"4.5\" fill=\"#1f5fb0\"/>")?;
        }
        Ok(())
    }
}

impl Scale {
    /// Returns round numbers around all values and 0.
    fn around(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values.fold((0.0_f64, 0.0_f64), |(low, high), end| (low.min(end), high.max(end)));
        Self { ticks: ticks(low, if low == high { 1.0 } else { high }), signed: false }
    }

    /// Returns round numbers around all values, as many below 0 as above.
    fn of_differences(values: impl Iterator<Item = f64>) -> Self {
        let reach = values.map(f64::abs).fold(0.0, f64::max);
        let reach = if reach > 0.0 { reach } else { 1.0 };
        Self { ticks: ticks(-reach, reach), signed: true }
    }

    fn x(&self, value: f64) -> f64 {
        let (first, last) = (self.ticks[0], self.ticks[self.ticks.len() - 1]);
        LEFT + (WIDTH - LEFT - RIGHT) * (value - first) / (last - first)
    }

    fn label(&self, tick: f64) -> String {
        match number(tick) {
            text if !self.signed || tick == 0.0 => text,
            text if tick > 0.0 => format!("+{text}"),
            text => text.replacen('-', "−", 1),
        }
    }

    fn draw(&self, top: f64, bottom: f64, out: &mut String) -> Result {
        for tick in &self.ticks {
            let colour = if tick.abs() < 1e-12 { "#444" } else { "#ddd" };
            writeln!(
                out,
                "<path d=\"M{0:.1} {top:.1}V{bottom:.1}\" stroke=\"{colour}\"/>\n\
                 <text x=\"{0:.1}\" y=\"{1:.1}\" text-anchor=\"middle\" fill=\"#555\">{2}</text>",
                self.x(*tick),
                bottom + 16.0,
                self.label(*tick)
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the places of the estimates from left to right.
    fn places(picture: &str) -> Vec<f64> {
        let numbers = picture.split("cx=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
        numbers.map(|number| number.parse().unwrap()).collect()
    }

    #[test]
    fn larger_values_lie_further_right_and_missing_ones_are_a_dash() {
        let estimate = |value: f64| {
            Some(Estimate { value, interval: Some(Interval { low: value - 0.1, high: value + 0.2 }) })
        };
        let rows = vec![("a<b".into(), estimate(-0.3)), ("b".into(), estimate(0.9)), ("c".into(), None)];
        let panels =
            vec![Panel { title: "one & two".into(), rows }, Panel { title: "none".into(), rows: vec![] }];
        let picture = Forest { title: "all".into(), panels, axis: None }.svg();
        let at = places(&picture);
        assert!(at.len() == 2 && LEFT < at[0] && at[0] < at[1] && at[1] < WIDTH - RIGHT, "{at:?}");
        assert!(picture.contains("a&lt;b") && picture.contains("one &amp; two") && picture.contains(">–<"));
        assert!(picture.ends_with("</svg>\n"));
    }

    #[test]
    fn panels_on_one_axis_have_one_scale_with_0_in_the_middle() {
        let panel = |title: &str, values: &[f64]| Panel {
            title: title.into(),
            rows: values
                .iter()
                .map(|value| (value.to_string(), Some(Estimate { value: *value, interval: None })))
                .collect(),
        };
        let band = Band { label: "a < b".into(), ends: Interval { low: 3.0, high: 3.9 } };
        let axis = Some(Axis { title: "points".into(), band: Some(band) });
        let panels = vec![panel("one", &[0.0, 2.0]), panel("", &[2.0, -8.0])];
        let picture = Forest { title: "all".into(), panels, axis }.svg();
        let at = places(&picture);
        assert_eq!(at[0], f64::midpoint(LEFT, WIDTH - RIGHT));
        assert!(at[1] == at[2] && LEFT <= at[3] && at[3] < at[0] && at[0] < at[1], "{at:?}");
        assert!(picture.contains(">+5<") && picture.contains(">−5<") && picture.contains("a &lt; b"));
        assert_eq!(picture.matches(">points<").count(), 1);
    }
}
