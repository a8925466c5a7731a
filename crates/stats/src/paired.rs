//! Intervals of means and tests of paired differences, by Student's t.

use serde::Serialize;

use crate::bootstrap::Interval;
use crate::mean::{mean, std_dev};
use crate::student::{student_cdf, student_quantile};

/// Returns the t interval of a mean, for example over seeds. None of fewer than two values.
pub fn mean_interval(values: &[f64], confidence: f64) -> Option<Interval> {
    if values.len() < 2 {
        return None;
    }
    let n = values.len() as f64;
    let half = student_quantile(0.5 + confidence / 2.0, n - 1.0) * std_dev(values) / n.sqrt();
    let middle = mean(values);
    Some(Interval { low: middle - half, high: middle + half })
}

/// Holds the result of a paired t test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PairedT {
    /// Number of pairs.
    pub pairs: usize,
    /// Mean of `b - a`.
    pub difference: f64,
    /// Its t statistic.
    pub t: f64,
    /// The two-sided p-value.
    pub p: f64,
    /// The interval of the difference.
    pub interval: Interval,
}

/// Returns the two-sided paired t test of `b - a`. None of fewer than two pairs. If all differences are
/// equal, the p-value is 0, or 1 if they are all 0.
///
/// # Panics
/// If the numbers of values differ.
pub fn paired_t(a: &[f64], b: &[f64], confidence: f64) -> Option<PairedT> {
    assert_eq!(a.len(), b.len(), "pairs have two members");
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
    let interval = mean_interval(&differences, confidence)?;
    let (n, difference, deviation) = (a.len() as f64, mean(&differences), std_dev(&differences));
    let (t, p) = if deviation > 0.0 {
        let t = difference / (deviation / n.sqrt());
        (t, 2.0 * student_cdf(-t.abs(), n - 1.0))
    } else if difference == 0.0 {
        (0.0, 1.0)
    } else {
        (f64::INFINITY.copysign(difference), 0.0)
    };
    Some(PairedT { pairs: a.len(), difference, t, p, interval })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_is_none_and_equal_differences_are_certain() {
        assert_eq!(paired_t(&[1.0], &[2.0], 0.95), None);
        assert_eq!(paired_t(&[1.0, 2.0], &[1.0, 2.0], 0.95).unwrap().p, 1.0);
        assert_eq!(paired_t(&[1.0, 2.0], &[2.0, 3.0], 0.95).unwrap().p, 0.0);
    }
}
