//! Limits the trajectories that a step or an evaluation may lose.

use turnwise_rollout::Lost;

use crate::error::TrainError;

/// Fails if more than half of `all` trajectories were lost. Fewer are dropped and counted (`rollouts_lost`):
/// no error of one trajectory ends a run.
pub(crate) fn refuse_many(lost: &[Lost], all: usize) -> Result<(), TrainError> {
    match lost.first() {
        Some(first) if 2 * lost.len() > all => {
            Err(TrainError::Lost { lost: lost.len(), all, first: first.clone() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_half_is_too_many() {
        let lost = |n: u32| -> Vec<Lost> {
            (0..n).map(|sample| Lost { task: "t".into(), sample, reason: "gone".into() }).collect()
        };
        for (n, all, fails) in [(0, 0, false), (0, 8, false), (4, 8, false), (5, 8, true), (1, 1, true)] {
            assert_eq!(refuse_many(&lost(n), all).is_err(), fails, "{n} of {all}");
        }
        let error = refuse_many(&lost(3), 4).unwrap_err().to_string();
        assert_eq!(error, "3 of 4 trajectories were lost, more than half; the first: t, sample 0: gone");
    }
}
