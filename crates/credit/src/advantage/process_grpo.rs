//! GRPO with process supervision (arXiv:2402.03300 §4.1.3).

use super::{AdvantageEstimator, Credit};
use crate::{
    episode::{Episode, PerTurn},
    moments::z_scored,
    returns::discounted_returns,
};

z_scored! {
    /// Sums z-scores of turn rewards from a turn on: process-supervised GRPO (DeepSeekMath, arXiv:2402.03300
    /// §4.1.3). The z-scores are taken over all turn rewards of the group.
    ///
    /// ```text
    /// z_ij = (r_ij - mean(r)) / (std(r) + ε)      A_ij = Σ_{k>=j} z_ik
    /// ```
    ///
    /// It reads the weighted sum of all names.
    pub struct ProcessGrpo {}
}

impl AdvantageEstimator for ProcessGrpo {
    fn credit(&self, groups: &[Vec<Episode>]) -> Vec<Credit> {
        let z = self.z_score();
        groups
            .iter()
            .map(|group| {
                let rewards: PerTurn = group.iter().map(|e| e.rewards.clone()).collect();
                let z = z.among(&rewards.concat());
                let sum_forward = |turns: &[f64]| discounted_returns(turns, 1.0);
                let scores = rewards.iter().map(|turns| turns.iter().map(|r| z(*r)).collect::<Vec<_>>());
                Credit {
                    advantages: scores.map(|turns| sum_forward(&turns)).collect(),
                    returns: rewards.iter().map(|turns| sum_forward(turns)).collect(),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::testing::{assert_per_turn, episodes};

    #[test]
    fn scores_are_summed_forward() {
        let group: [&[(f64, f64)]; 2] = [&[(0.0, 0.0), (1.0, 0.0)], &[(0.0, 0.0), (0.0, 0.0)]];
        let credit = ProcessGrpo { eps: 0.0, ..ProcessGrpo::default() }.credit(&[episodes(&group)]).remove(0);
        // r = 0 1 0 0: μ = 0.25, σ = 0.5, so z = -0.5 1.5 -0.5 -0.5.
        assert_per_turn(&credit.advantages, &[&[1.0, 1.5], &[-1.0, -0.5]]);
        assert_per_turn(&credit.returns, &[&[1.0, 1.0], &[0.0, 0.0]]);
    }
}
