//! GRPO with the sum of the turn rewards (arXiv:2402.03300 §4.1.2, outcome supervision).

use super::{AdvantageEstimator, Credit, trajectory_level::trajectory_level};
use crate::{episode::Episode, moments::z_scored};

z_scored! {
    /// Takes z-scores of the trajectories' rewards in a group: GRPO (arXiv:2402.03300 §4.1.2), with `R_i =
    /// Σ_j r_ij` copied to every turn. It has the same rewards as GTPO, without turn-level credit.
    ///
    /// ```text
    /// A_ij = (R_i - mean(R)) / (std(R) + ε)
    /// ```
    ///
    /// It reads the weighted sum of all names.
    pub struct Grpo {}
}

impl AdvantageEstimator for Grpo {
    fn credit(&self, groups: &[Vec<Episode>]) -> Vec<Credit> {
        let z = self.z_score();
        trajectory_level(groups, Episode::total, |rewards| {
            let z = z.among(rewards);
            rewards.iter().map(|r| z(*r)).collect()
        })
    }
}

#[cfg(test)]
#[expect(
    clippy::unreadable_literal,
    clippy::approx_constant,
    reason = "the fixtures' numbers, as they are printed elsewhere"
)]
mod tests {
    use super::*;
    use crate::advantage::testing::{assert_per_turn, episodes, single_turns};

    /// Holds the table of conventions: three groups of four, one per ε of the public implementations.
    #[test]
    fn conventions_of_the_public_implementations() {
        let groups = [
            single_turns(&[1.0, 0.0, 0.0, 1.0]),
            single_turns(&[1.0, 1.0, 1.0, 1.0]),
            single_turns(&[1.0, 0.0, 0.0, 0.0]),
        ];
        let check = |eps: f64, half: f64, high: f64, low: f64| {
            let credit = Grpo { eps, ..Grpo::default() }.credit(&groups);
            assert_per_turn(&credit[0].advantages, &[&[half], &[-half], &[-half], &[half]]);
            assert_per_turn(&credit[1].advantages, &[&[0.0], &[0.0], &[0.0], &[0.0]]);
            assert_per_turn(&credit[2].advantages, &[&[high], &[low], &[low], &[low]]);
        };
        check(1e-6, 0.8660239, 1.4999970, -0.4999990); // verl, SkyRL
        check(1e-4, 0.8658754, 1.4997001, -0.4999000); // TRL
        check(1e-9, 0.8660254, 1.5, -0.5); // OpenRLHF
    }

    #[test]
    fn a_trajectory_has_one_vote_and_one_advantage() {
        let group: [&[(f64, f64)]; 2] = [&[(0.0, -0.1), (1.0, 0.0)], &[(0.0, 0.0)]];
        let credit = Grpo::default().credit(&[episodes(&group)]).remove(0);
        assert_per_turn(&credit.returns, &[&[0.9, 0.9], &[0.0]]);
        assert_per_turn(&credit.advantages, &[&[0.707106, 0.707106], &[-0.707106]]);
    }
}
