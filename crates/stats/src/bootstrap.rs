//! Computes bootstrap intervals. They resample tasks (or seeds), because samples of one task are not
//! independent.

use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::mean::mean;
use crate::normal::{normal_cdf, normal_quantile};

/// Holds an interval at the requested confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// Draws `count` bootstrap values of a statistic of `n` units. The statistic gets the drawn indices; the same
/// seed draws the same ones.
pub fn resample(n: usize, count: usize, seed: u64, mut statistic: impl FnMut(&[usize]) -> f64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn = vec![0; n];
    (0..count)
        .map(|_| {
            for index in &mut drawn {
                *index = rng.random_range(0..n);
            }
            statistic(&drawn)
        })
        .collect()
}

/// Returns the middle `confidence` of bootstrap values.
///
/// # Panics
/// If there is no value.
pub fn percentile_interval(values: &[f64], confidence: f64) -> Interval {
    let sorted = sorted(values);
    let tail = (1.0 - confidence) / 2.0;
    Interval { low: quantile(&sorted, tail), high: quantile(&sorted, 1.0 - tail) }
}

/// Returns the bias-corrected and accelerated interval (Efron 1987). `estimate` is the statistic of all
/// units, `values` are its bootstrap values, `left_out` its values with each unit left out in turn. If the
/// correction is undefined (all values on one side, no spread), it is the percentile interval.
///
/// # Panics
/// If there is no bootstrap value.
pub fn bca_interval(estimate: f64, values: &[f64], left_out: &[f64], confidence: f64) -> Interval {
    let below = values.iter().filter(|&&v| v < estimate).count() as f64;
    let level = values.iter().filter(|&&v| v == estimate).count() as f64;
    // Half of the values that equal the estimate count as below, as a discrete statistic has many.
    let bias = normal_quantile((below + level / 2.0) / values.len() as f64);
    let centre = mean(left_out);
    let moment = |power: i32| left_out.iter().map(|v| (centre - v).powi(power)).sum::<f64>();
    let acceleration = moment(3) / (6.0 * moment(2).powf(1.5));
    if !bias.is_finite() || !acceleration.is_finite() {
        return percentile_interval(values, confidence);
    }
    let sorted = sorted(values);
    let end = |p: f64| {
        let z = bias + normal_quantile(p);
        quantile(&sorted, normal_cdf(bias + z / (1.0 - acceleration * z)))
    };
    let tail = (1.0 - confidence) / 2.0;
    Interval { low: end(tail), high: end(1.0 - tail) }
}

/// Returns the interval of a mean over tasks, each drawn with all its samples: BCa from `count` resamples.
/// None of fewer than two tasks.
pub fn task_bootstrap(by_task: &[f64], count: usize, seed: u64, confidence: f64) -> Option<Interval> {
    if by_task.len() < 2 {
        return None;
    }
    let n = by_task.len();
    // Values without spread need no resampling.
    if by_task.iter().all(|value| *value == by_task[0]) {
        return Some(Interval { low: by_task[0], high: by_task[0] });
    }
    let values = resample(n, count, seed, |drawn| drawn.iter().map(|&i| by_task[i]).sum::<f64>() / n as f64);
    let sum: f64 = by_task.iter().sum();
    let left_out: Vec<f64> = by_task.iter().map(|v| (sum - v) / (n - 1) as f64).collect();
    Some(bca_interval(sum / n as f64, &values, &left_out, confidence))
}

/// Returns the interval of the mean of `b - a` over the same tasks. None of fewer than two.
///
/// # Panics
/// If the numbers of values differ.
pub fn paired_bootstrap(a: &[f64], b: &[f64], count: usize, seed: u64, confidence: f64) -> Option<Interval> {
    assert_eq!(a.len(), b.len(), "pairs have two members");
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
    task_bootstrap(&differences, count, seed, confidence)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    assert!(!values.is_empty(), "an interval needs bootstrap values");
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Interpolates linearly between the order statistics, as numpy does by default.
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let at = p * (sorted.len() - 1) as f64;
    let (low, part) = (at.floor() as usize, at.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + part * (sorted[high] - sorted[low])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_cover_the_truth_as_often_as_they_claim() {
        // 200 experiments of 60 tasks with a known mean of 0.3: about 190 intervals at 95 % hold it.
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let holds = (0..200).filter(|&experiment| {
            let tasks: Vec<f64> = (0..60).map(|_| f64::from(u8::from(rng.random::<f64>() < 0.3))).collect();
            let interval = task_bootstrap(&tasks, 400, experiment, 0.95).unwrap();
            interval.low <= 0.3 && 0.3 <= interval.high
        });
        let count = holds.count();
        assert!((180..=198).contains(&count), "{count} of 200");
    }

    #[test]
    fn the_same_seed_gives_the_same_interval_and_no_spread_is_a_point() {
        let tasks = [0.0, 1.0, 1.0, 0.0, 1.0];
        assert_eq!(task_bootstrap(&tasks, 200, 7, 0.9), task_bootstrap(&tasks, 200, 7, 0.9));
        let point = Interval { low: 1.0, high: 1.0 };
        assert_eq!(task_bootstrap(&[1.0; 4], 50, 7, 0.95), Some(point));
        assert_eq!(task_bootstrap(&[1.0], 50, 7, 0.95), None);
        assert_eq!(paired_bootstrap(&tasks, &tasks, 50, 7, 0.95), Some(Interval { low: 0.0, high: 0.0 }));
    }
}
