//! RLOO, REINFORCE with a leave-one-out baseline (arXiv:2402.14740).

use serde::{Deserialize, Serialize};

use super::{AdvantageEstimator, Credit, trajectory_level::trajectory_level};
use crate::{
    episode::Episode,
    moments::{finite, mean},
};

/// Subtracts the mean of the group's other trajectories from `R_i = Σ_j r_ij`: RLOO (arXiv:2402.14740). A
/// trajectory without others gets 0, not its raw reward.
///
/// It reads the weighted sum of all names.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rloo {}

impl AdvantageEstimator for Rloo {
    fn credit(&self, groups: &[Vec<Episode>]) -> Vec<Credit> {
        trajectory_level(groups, Episode::total, |rewards| {
            let (n, mean) = (rewards.len() as f64, mean(rewards));
            // R - (Σ - R)/(n-1) = (R - mean)·n/(n-1); for n = 1 the difference is exactly 0.
            rewards.iter().map(|r| finite((r - mean) * n / (n - 1.0).max(1.0))).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::testing::{assert_per_turn, single_turns};

    #[test]
    fn mean_of_the_others() {
        let credit = Rloo::default().credit(&[single_turns(&[1.0, 0.0, 0.5]), single_turns(&[0.7])]);
        assert_per_turn(&credit[0].advantages, &[&[0.75], &[-0.75], &[0.0]]);
        assert_per_turn(&credit[1].advantages, &[&[0.0]]);
    }
}
