//! Draws estimates with their intervals, one a line, in panels with separate axes.

use std::fmt::Write;

use turnwise_stats::Estimate;

use super::chart::{number, ticks};
use super::document::escape;

const WIDTH: f64 = 720.0;
const LEFT: f64 = 240.0;
const RIGHT: f64 = 24.0;
const ROW: f64 = 22.0;
const TOP: f64 = 34.0;
const HEAD: f64 = 30.0;
const FOOT: f64 = 30.0;

/// Describes a picture of estimates.
pub struct Forest {
    /// Its title.
    pub title: String,
    /// The panels, from top to bottom.
    pub panels: Vec<Panel>,
}

/// Holds estimates of one quantity.
pub struct Panel {
    /// The quantity.
    pub title: String,
    /// Names and estimates; a line without an estimate shows a dash.
    pub rows: Vec<(String, Option<Estimate>)>,
}

impl Forest {
    /// Draws the picture as an SVG.
    pub fn svg(&self) -> String {
        let heights: f64 = self.panels.iter().map(Panel::height).sum();
        let title = escape(&self.title);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {:.0}\" font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n\
             <title>{title}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             <text x=\"16\" y=\"20\" font-size=\"14\" fill=\"#222\">{title}</text>\n",
            TOP + heights
        );
        let mut top = TOP;
        for panel in &self.panels {
            panel.draw(top, &mut out).expect("a string takes any text");
            top += panel.height();
        }
        out + "</svg>\n"
    }
}

impl Panel {
    fn height(&self) -> f64 {
        HEAD + ROW * self.rows.len() as f64 + FOOT
    }

    /// Returns round numbers around all estimates and 0.
    fn ticks(&self) -> Vec<f64> {
        let ends = self.rows.iter().filter_map(|(_, estimate)| *estimate).flat_map(|estimate| {
            let ends = estimate.interval.map_or([estimate.value; 2], |held| [held.low, held.high]);
            [estimate.value, ends[0], ends[1]]
        });
        let (low, high) = ends.fold((0.0_f64, 0.0_f64), |(low, high), end| (low.min(end), high.max(end)));
        ticks(low, if low == high { 1.0 } else { high })
    }

    fn draw(&self, top: f64, out: &mut String) -> std::fmt::Result {
        let ticks = self.ticks();
        let (first, last) = (ticks[0], ticks[ticks.len() - 1]);
        let x = |value: f64| LEFT + (WIDTH - LEFT - RIGHT) * (value - first) / (last - first);
        let bottom = top + HEAD + ROW * self.rows.len() as f64;
        writeln!(out, "<text x=\"16\" y=\"{:.1}\" fill=\"#555\">{}</text>", top + 18.0, escape(&self.title))?;
        for tick in &ticks {
            let colour = if tick.abs() < 1e-12 { "#444" } else { "#ddd" };
            writeln!(
                out,
                "<path d=\"M{0:.1} {1:.1}V{bottom:.1}\" stroke=\"{colour}\"/>\n\
                 <text x=\"{0:.1}\" y=\"{2:.1}\" text-anchor=\"middle\" fill=\"#555\">{3}</text>",
                x(*tick),
                top + HEAD,
                bottom + 16.0,
                number(*tick)
            )?;
        }
        for (row, (name, estimate)) in self.rows.iter().enumerate() {
            let y = top + HEAD + ROW * (row as f64 + 0.5);
            writeln!(out, "<text x=\"28\" y=\"{:.1}\" fill=\"#222\">{}</text>", y + 4.0, escape(name))?;
            let Some(estimate) = estimate else {
                writeln!(out, "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"#555\">–</text>", LEFT + 6.0, y + 4.0)?;
                continue;
            };
            if let Some(held) = estimate.interval {
                let (low, high) = (x(held.low), x(held.high));
                writeln!(
                    out,
                    "<path d=\"M{low:.1} {y:.1}H{high:.1}\" stroke=\"#1f5fb0\" stroke-width=\"2.5\"/>"
                )?;
            }
            let middle = x(estimate.value);
            writeln!(out, "<circle cx=\"{middle:.1}\" cy=\"{y:.1}\" r=\"4.5\" fill=\"#1f5fb0\"/>")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use turnwise_stats::Interval;

    use super::*;

    #[test]
    fn larger_values_lie_further_right_and_missing_ones_are_a_dash() {
        let estimate = |value: f64| {
            Some(Estimate { value, interval: Some(Interval { low: value - 0.1, high: value + 0.2 }) })
        };
        let rows = vec![("a<b".into(), estimate(-0.3)), ("b".into(), estimate(0.9)), ("c".into(), None)];
        let panels =
            vec![Panel { title: "one & two".into(), rows }, Panel { title: "none".into(), rows: vec![] }];
        let picture = Forest { title: "all".into(), panels }.svg();
        let at: Vec<f64> = picture
            .split("cx=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
            .collect();
        assert!(at.len() == 2 && LEFT < at[0] && at[0] < at[1] && at[1] < WIDTH - RIGHT, "{at:?}");
        assert!(picture.contains("a&lt;b") && picture.contains("one &amp; two") && picture.contains(">–<"));
        assert!(picture.ends_with("</svg>\n"));
    }
}
