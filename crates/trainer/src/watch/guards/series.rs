//! Means of metrics over steps.

use turnwise_run::StepMetrics;

/// The mean of the last `window` steps, of those that have the number; none if there are fewer, or none has it.
pub(super) fn lately(
    steps: &[StepMetrics],
    window: usize,
    value: impl Fn(&StepMetrics) -> Option<f64>,
) -> Option<f64> {
    mean(steps.get(steps.len().checked_sub(window)?..)?, value)
}

/// The mean of the first `window` steps, if the last `window` are others.
pub(super) fn at_first(
    steps: &[StepMetrics],
    window: usize,
    value: impl Fn(&StepMetrics) -> Option<f64>,
) -> Option<f64> {
    if steps.len() < 2 * window { None } else { mean(&steps[..window], value) }
}

/// A step without an update has no number that speaks of updates.
fn mean(steps: &[StepMetrics], value: impl Fn(&StepMetrics) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = steps.iter().filter_map(value).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
