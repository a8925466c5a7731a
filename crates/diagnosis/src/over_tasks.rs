//! Statistics of sums over tasks, and their intervals from resampled tasks.

use turnwise_stats::{Estimate, percentile_interval, resample};

/// Number of bootstrap values.
const RESAMPLES: usize = 1000;
const CONFIDENCE: f64 = 0.95;
const SEED: u64 = 0;

/// Returns a statistic of tasks with its interval; none if it is undefined for all tasks together.
///
/// `statistic` gets how often each task is counted, once in the estimate itself. Resamples in which it is
/// undefined are left out. Fewer than two tasks have no interval, and so has a statistic that is undefined in
/// half of the resamples.
pub(crate) fn estimate(tasks: usize, statistic: impl Fn(&[f64]) -> Option<f64>) -> Option<Estimate> {
    let value = statistic(&vec![1.0; tasks]).filter(|value| value.is_finite())?;
    if tasks < 2 {
        return Some(Estimate { value, interval: None });
    }
    let drawn = resample(tasks, RESAMPLES, SEED, |drawn| {
        let mut counts = vec![0.0; tasks];
        for task in drawn {
            counts[*task] += 1.0;
        }
        statistic(&counts).unwrap_or(f64::NAN)
    });
    let values: Vec<f64> = drawn.into_iter().filter(|value| value.is_finite()).collect();
    let interval = (2 * values.len() > RESAMPLES).then(|| percentile_interval(&values, CONFIDENCE));
    Some(Estimate { value, interval })
}

/// Returns `Σ parts / Σ wholes` over tasks; none if the wholes are 0.
pub(crate) fn ratio(sums: &[(f64, f64)]) -> Option<Estimate> {
    estimate(sums.len(), |counts| {
        let (part, whole) = sums
            .iter()
            .zip(counts)
            .fold((0.0, 0.0), |(part, whole), ((a, b), count)| (part + a * count, whole + b * count));
        (whole > 0.0).then(|| part / whole)
    })
}
