//! How well the credit of turns follows their reference: Pearson's correlation over turns of all tasks.

use turnwise_stats::Estimate;

use crate::over_tasks::estimate;

/// Holds the sums behind a correlation of one task.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moments([f64; 6]);

impl Moments {
    /// Adds a turn's credit and its reference.
    pub(crate) fn add(&mut self, credit: f64, reference: f64) {
        let more = [1.0, credit, reference, credit * credit, reference * reference, credit * reference];
        self.0.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
    }
}

/// Returns the correlation over the turns of all tasks; none if either side has no spread.
pub(crate) fn correlation(tasks: &[Moments]) -> Option<Estimate> {
    estimate(tasks.len(), |counts| {
        let mut sums = [0.0; 6];
        for (task, count) in tasks.iter().zip(counts) {
            sums.iter_mut().zip(task.0).for_each(|(sum, more)| *sum += count * more);
        }
        let [n, x, y, xx, yy, xy] = sums;
        let (var_x, var_y) = (xx - x * x / n, yy - y * y / n);
        let spread = n > 2.0 && var_x > 1e-9 * xx && var_y > 1e-9 * yy;
        spread.then(|| ((xy - x * y / n) / (var_x * var_y).sqrt()).clamp(-1.0, 1.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(turns: &[(f64, f64)]) -> Option<f64> {
        let mut moments = Moments::default();
        for (credit, reference) in turns {
            moments.add(*credit, *reference);
        }
        correlation(&[moments]).map(|estimate| estimate.value)
    }

    #[test]
    fn correlations_of_small_sets() {
        assert_eq!(found(&[(1.0, 2.0), (2.0, 4.0), (4.0, 8.0)]), Some(1.0));
        assert_eq!(found(&[(1.0, 1.0), (0.0, 3.0), (2.0, -1.0)]), Some(-1.0));
        let half = found(&[(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]).expect("a spread");
        assert!((half + 0.5).abs() < 1e-12, "{half}");
        assert_eq!(found(&[(0.3, 1.0), (0.3, 2.0), (0.3, 3.0)]), None);
        assert_eq!(found(&[]), None);
    }
}
