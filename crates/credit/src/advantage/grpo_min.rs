//! The GRPO baseline of the GTPO paper.

use super::{AdvantageEstimator, Credit, gated::gated, trajectory_level::trajectory_level};
use crate::{episode::Episode, moments::z_scored};

z_scored! {
    /// Takes z-scores of `min(acc, format_ok)` in {0, 1}: the GRPO baseline of arXiv:2511.14846. One format
    /// error in any turn zeroes a correct trajectory. Every turn gets its trajectory's score.
    ///
    /// A format error is the turn's flag, not the sign of its `fmt`: the gate stands where
    /// `reward.format_penalty` is 0. The accuracy is the one before shaping, and a KL penalty in the reward
    /// is not seen: the paper's baseline has neither.
    ///
    /// It reads the reward named `acc`, without its weight and its normalisation, and the flags of
    /// violations, which follow the sign of the reward named `fmt` where a record has none. Other names don't
    /// count. A graded `acc` is 1 from `reward.correct_at` on, and 0 below.
    pub struct GrpoMin {}
}

impl AdvantageEstimator for GrpoMin {
    fn credit(&self, groups: &[Vec<Episode>]) -> Vec<Credit> {
        let z = self.z_score();
        trajectory_level(groups, gated, |rewards| {
            let z = z.among(rewards);
            rewards.iter().map(|r| z(*r)).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::testing::{assert_per_turn, episodes};

    #[test]
    fn fixture_a_a_violation_zeroes_the_correct_trajectory() {
        let group: [&[(f64, f64)]; 4] = [
            &[(0.0, 0.0), (0.0, -0.1), (1.0, 0.0)],
            &[(0.0, 0.0), (1.0, 0.0)],
            &[(0.0, 0.0)],
            &[(0.0, -0.1), (0.0, 0.0), (0.0, 0.0)],
        ];
        let credit = GrpoMin { eps: 0.0, ..GrpoMin::default() }.credit(&[episodes(&group)]).remove(0);
        assert_per_turn(&credit.returns, &[&[0.0; 3], &[1.0; 2], &[0.0], &[0.0; 3]]);
        assert_per_turn(&credit.advantages, &[&[-0.5; 3], &[1.5; 2], &[-0.5], &[-0.5; 3]]);
    }

    #[test]
    fn a_violation_that_costs_nothing_still_closes_the_gate() {
        let mut group = episodes(&[&[(0.0, -0.1), (1.0, 0.0)], &[(1.0, 0.0)]]);
        let priced = GrpoMin::default().credit(std::slice::from_ref(&group));
        group[0].rewards[0] = 0.0;
        let free = GrpoMin::default().credit(&[group]);
        assert_eq!(priced, free);
        assert_per_turn(&free[0].returns, &[&[0.0; 2], &[1.0]]);
    }

    #[test]
    fn shaped_accuracy_does_not_count() {
        let mut group = episodes(&[&[(0.0, 0.0)], &[(1.0, 0.0)]]);
        group[0].rewards[0] = 0.35;
        let credit = GrpoMin::default().credit(&[group]).remove(0);
        assert_per_turn(&credit.returns, &[&[0.0], &[1.0]]);
    }
}
