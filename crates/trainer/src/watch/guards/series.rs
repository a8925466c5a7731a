//! Means of metrics over steps.

use turnwise_run::StepMetrics;

/// Returns the mean of the last `window` steps, without those that lack the number; none if there are fewer
/// steps.
pub(super) fn lately(
    steps: &[StepMetrics],
    window: usize,
    value: impl Fn(&StepMetrics) -> Option<f64>,
) -> Option<f64> {
    mean(steps.get(steps.len().checked_sub(window)?..)?, value)
}

/// Returns the mean of the first `window` steps; none while they overlap with the last `window`.
pub(super) fn at_first(
    steps: &[StepMetrics],
    window: usize,
    value: impl Fn(&StepMetrics) -> Option<f64>,
) -> Option<f64> {
    if steps.len() < 2 * window { None } else { mean(&steps[..window], value) }
}

/// Returns the mean over steps that have the number: a step without an update lacks those of updates.
fn mean(steps: &[StepMetrics], value: impl Fn(&StepMetrics) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = steps.iter().filter_map(value).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
