//! Draws learning curves: the mean over seeds, and the 95 % t interval of that mean as a band.

use turnwise_inspect::report::{Chart, Series};
use turnwise_stats::{mean, mean_interval};

use super::runs::Runs;
use crate::record::Record;

/// Updates in a moving mean. Single updates of 128 rollouts are noisy.
const WINDOW: usize = 5;

/// The figures of a family: the key of the curve, its name, and whether it is a share.
pub(super) const SHOWN: [(&str, &str, bool); 3] = [
    ("accuracy", "share of right rollouts", true),
    ("turns", "turns", false),
    ("violations", "turns that break the format, share", false),
];

/// Draws a metric of the rollouts by update, as an SVG.
pub(super) fn curves(family: &str, runs: &Runs, (key, name, percent): (&str, &str, bool)) -> String {
    let series =
        runs.methods.iter().filter_map(|method| line(method, &runs.get(family, method), key, percent));
    let title = format!("{family}: {name}, mean of {WINDOW} updates");
    Chart { title, percent, series: series.collect(), marks: Vec::new() }.svg()
}

fn line(method: &str, of: &[&Record], key: &str, percent: bool) -> Option<Series> {
    let runs: Vec<Vec<f64>> =
        of.iter().filter_map(|record| record.curve.get(key)).map(|values| smooth(values)).collect();
    let updates = runs.iter().map(Vec::len).min().filter(|updates| *updates > 0)?;
    let at = |step: usize| runs.iter().map(|run| run[step]).collect::<Vec<f64>>();
    let smooth = (0..updates).map(|step| (step as f64, mean(&at(step)))).collect();
    let highest = if percent { 1.0 } else { f64::INFINITY };
    let band = (0..updates)
        .map(|step| {
            mean_interval(&at(step), 0.95).map(|i| (step as f64, i.low.max(0.0), i.high.min(highest)))
        })
        .collect();
    Some(Series { label: format!("{method} ({} seeds)", runs.len()), raw: Vec::new(), smooth, band })
}

fn smooth(values: &[f64]) -> Vec<f64> {
    (0..values.len()).map(|i| mean(&values[i.saturating_sub(WINDOW - 1)..=i])).collect()
}
