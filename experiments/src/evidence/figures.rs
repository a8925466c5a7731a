//! Learning curves: the mean over seeds, and the 95 % t interval of that mean as a band.

use turnwise_inspect::report::{Chart, Series};
use turnwise_stats::{mean, mean_interval};

use super::MAIN;
use crate::record::Record;

/// Updates that a moving mean looks back; single updates of 128 rollouts are noisy.
const WINDOW: usize = 5;

/// The share of right rollouts by update, as an SVG.
pub(super) fn curves(family: &str, records: &[&Record]) -> String {
    let series = MAIN.iter().filter_map(|method| {
        let runs: Vec<Vec<f64>> = records
            .iter()
            .filter(|record| record.method == *method)
            .filter_map(|record| record.curve.get("accuracy"))
            .map(|values| smooth(values))
            .collect();
        let updates = runs.iter().map(Vec::len).min().filter(|updates| *updates > 0)?;
        let at = |step: usize| runs.iter().map(|run| run[step]).collect::<Vec<f64>>();
        let middle = (0..updates).map(|step| (step as f64, mean(&at(step)))).collect();
        let band = (0..updates)
            .map(|step| {
                mean_interval(&at(step), 0.95).map(|i| (step as f64, i.low.max(0.0), i.high.min(1.0)))
            })
            .collect();
        Some(Series {
            label: format!("{method} ({} seeds)", runs.len()),
            raw: Vec::new(),
            smooth: middle,
            band,
        })
    });
    let title = format!("{family}: share of right rollouts, mean over seeds and its 95 % interval");
    Chart { title, percent: true, series: series.collect(), marks: Vec::new() }.svg()
}

fn smooth(values: &[f64]) -> Vec<f64> {
    (0..values.len()).map(|i| mean(&values[i.saturating_sub(WINDOW - 1)..=i])).collect()
}
