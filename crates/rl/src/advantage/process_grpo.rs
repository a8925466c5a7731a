//! GRPO with process supervision (arXiv:2402.03300 §4.1.3).

use serde::{Deserialize, Serialize};
use turnwise_runfile::Within;

use super::{AdvantageEstimator, Credit};
use crate::{
    episode::{Episode, PerTurn},
    moments::ZScore,
    returns::discounted_returns,
};

/// Process-supervised GRPO (DeepSeekMath, arXiv:2402.03300 §4.1.3): every turn reward of the group is
/// z-scored, and a turn's advantage is the sum of its own and all later scores.
///
/// ```text
/// z_ij = (r_ij - mean(r)) / (std(r) + ε)      A_ij = Σ_{k>=j} z_ik
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProcessGrpo {
    /// Delta degrees of freedom of σ: 0 or 1.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub ddof: u8,
    /// ε, added to σ.
    #[serde(deserialize_with = "Within::<0, 1_000>::read")]
    pub eps: f64,
    /// Lower bound of σ; 0 is the paper's formula.
    #[serde(deserialize_with = "Within::<0, 1_000>::read")]
    pub std_floor: f64,
}

impl Default for ProcessGrpo {
    fn default() -> Self {
        Self { ddof: 1, eps: 1e-6, std_floor: 0.0 }
    }
}

impl AdvantageEstimator for ProcessGrpo {
    fn credit(&self, groups: &[Vec<Episode>]) -> Vec<Credit> {
        let z = ZScore { ddof: self.ddof, eps: self.eps, std_floor: self.std_floor };
        groups
            .iter()
            .map(|group| {
                let rewards: PerTurn = group.iter().map(Episode::totals).collect();
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
