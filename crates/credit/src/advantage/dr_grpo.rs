//! Dr. GRPO (arXiv:2503.20783).

use serde::{Deserialize, Serialize};

use super::{AdvantageEstimator, Credit, trajectory_level::trajectory_level};
use crate::{
    episode::Episode,
    moments::{finite, mean},
};

/// Subtracts the group's mean reward and doesn't divide by σ: `A_ij = R_i - mean(R)`, `R_i = Σ_j r_ij` (Dr.
/// GRPO, arXiv:2503.20783 §3.2). The paper's constant normaliser of the loss is `weights.constant`.
///
/// It reads the weighted sum of all names.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrGrpo {}

impl AdvantageEstimator for DrGrpo {
    fn credit(&self, groups: &[Vec<Episode>]) -> Vec<Credit> {
        trajectory_level(groups, Episode::total, |rewards| {
            let mean = mean(rewards);
            rewards.iter().map(|r| finite(r - mean)).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::testing::{assert_per_turn, episodes};

    #[test]
    fn difference_to_the_group_mean() {
        let group: [&[(f64, f64)]; 2] = [&[(0.0, -0.1), (1.0, 0.0)], &[(0.0, 0.0)]];
        let credit = DrGrpo::default().credit(&[episodes(&group)]).remove(0);
        assert_per_turn(&credit.advantages, &[&[0.45, 0.45], &[-0.45]]);
    }
}
