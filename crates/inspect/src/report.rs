//! Writes a report of one or many runs: curves, held-out results, turns and settings, as one HTML file or as
//! Markdown with its pictures beside it.

mod arms;
mod chart;
mod document;
mod forest;
mod rewards;
mod sections;

use turnwise_run::Evaluations;

use crate::curves;
use crate::error::InspectError;
use crate::run::Run;

pub use chart::{Chart, Mark, Series};
pub use document::Report;
pub use forest::{Axis, Band, Forest, Panel};

/// Number of steps in a moving mean.
const WINDOW: usize = 5;

/// Returns a report of these runs. Runs that differ only in the seed are shown as one, with the range over
/// their seeds.
pub fn report(runs: &[Run]) -> Result<Report, InspectError> {
    let arms = arms::arms(runs)?;
    Ok(Report { title: sections::title(&arms), blocks: sections::blocks(&arms) })
}

/// Draws the learning curve of a run as an SVG. The curve is the share of right answers per step, raw and as
/// a moving mean; points are held-out evaluations.
pub fn curve(run: &Run) -> Result<String, InspectError> {
    let metrics = run.metrics()?;
    let points = curves::points(&metrics, |step| step.accuracy);
    let mut marks: Vec<(f64, f64)> = curves::points(&metrics, |step| step.held_out_accuracy)
        .into_iter()
        .map(|(step, value)| (step + 1.0, value))
        .collect();
    let steps = metrics.len() as f64;
    if let Some(Evaluations { before, after, .. }) = run.evaluation()? {
        marks.extend([(0.0, before.accuracy), (steps, after.accuracy)]);
    }
    let mark = |(step, value): (f64, f64)| Mark {
        x: step,
        y: value,
        label: format!("held out {:.1} %", 100.0 * value),
        at_the_left: step < steps / 2.0,
    };
    let chart = Chart {
        title: format!("Share of right answers per step ({})", run.name()),
        percent: true,
        series: vec![Series { label: String::new(), smooth: arms::smooth(&points), raw: points, band: None }],
        marks: marks.into_iter().map(mark).collect(),
    };
    Ok(chart.svg())
}
