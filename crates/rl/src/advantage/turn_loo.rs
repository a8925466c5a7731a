//! Leave-one-trajectory-out baseline per turn: a proposal of this project.

use serde::{Deserialize, Serialize};

use super::{AdvantageEstimator, Credit};
use crate::{
    bounds,
    episode::{Episode, PerTurn},
    moments::{finite, mean},
    returns::discounted_returns,
};

/// A proposal of this project, not of a paper, and without evidence yet: the return of a turn minus the mean
/// return of the *other* trajectories at that turn, where a trajectory that has already ended counts as 0.
///
/// ```text
/// A_ij = R_ij - 1/(G-1) · Σ_{k≠i} R_kj        R_kj = 0 for j > T_k
/// ```
///
/// The baseline of a turn doesn't depend on the trajectory's own actions, not even on when it stops, so it
/// adds no bias. There is no σ: the scale is the reward's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TurnLoo {
    /// Discount per turn, γ.
    #[serde(deserialize_with = "bounds::fraction")]
    pub gamma: f64,
}

impl Default for TurnLoo {
    fn default() -> Self {
        Self { gamma: 0.9 }
    }
}

impl AdvantageEstimator for TurnLoo {
    fn norm_scope(&self) -> &'static str {
        "others"
    }

    fn credit(&self, groups: &[Vec<Episode>]) -> Vec<Credit> {
        groups.iter().map(|group| self.group_credit(group)).collect()
    }
}

impl TurnLoo {
    fn group_credit(self, group: &[Episode]) -> Credit {
        let returns: PerTurn = group.iter().map(|e| discounted_returns(&e.totals(), self.gamma)).collect();
        let longest = returns.iter().map(Vec::len).max().unwrap_or(0);
        let means: Vec<f64> = (0..longest)
            .map(|j| {
                mean(&returns.iter().map(|turns| turns.get(j).copied().unwrap_or(0.0)).collect::<Vec<_>>())
            })
            .collect();
        // R - (Σ - R)/(G-1) = (R - mean)·G/(G-1); for G = 1 the difference is exactly 0.
        let n = group.len() as f64;
        let scale = n / (n - 1.0).max(1.0);
        let advantages = returns
            .iter()
            .map(|turns| turns.iter().zip(&means).map(|(r, mean)| finite((r - mean) * scale)).collect())
            .collect();
        Credit { returns, advantages }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::testing::{assert_per_turn, episodes};

    #[test]
    fn an_ended_trajectory_counts_as_zero() {
        let group: [&[(f64, f64)]; 3] = [&[(0.0, 0.0), (1.0, 0.0)], &[(1.0, 0.0)], &[(0.0, 0.0)]];
        let credit = TurnLoo { gamma: 0.5 }.credit(&[episodes(&group)]).remove(0);
        assert_per_turn(&credit.advantages, &[&[0.0, 1.0], &[0.75], &[-0.75]]);
    }

    #[test]
    fn a_trajectory_without_others_gets_zero() {
        let group: [&[(f64, f64)]; 1] = [&[(0.0, 0.0), (1.0, 0.0)]];
        let credit = TurnLoo::default().credit(&[episodes(&group)]).remove(0);
        assert_per_turn(&credit.advantages, &[&[0.0, 0.0]]);
    }
}
