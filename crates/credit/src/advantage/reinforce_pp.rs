//! REINFORCE++ with a group baseline (arXiv:2501.03262).

use super::{AdvantageEstimator, Credit, trajectory_level::copied};
use crate::{
    episode::Episode,
    moments::{finite, mean, z_scored},
};

z_scored! {
    /// Subtracts the group's mean reward, then whitens over all trajectories of the batch:
    /// REINFORCE++-baseline (arXiv:2501.03262).
    ///
    /// Deviation: each trajectory counts once. verl and OpenRLHF whiten over tokens, so there a long
    /// trajectory weighs more. The two agree where all trajectories have the same number of tokens.
    ///
    /// It reads the weighted sum of all names.
    pub struct ReinforcePp {}
}

impl AdvantageEstimator for ReinforcePp {
    fn norm_scope(&self) -> &'static str {
        "batch"
    }

    fn credit(&self, groups: &[Vec<Episode>]) -> Vec<Credit> {
        let rewards: Vec<Vec<f64>> = groups.iter().map(|g| g.iter().map(Episode::total).collect()).collect();
        let centred: Vec<Vec<f64>> = rewards
            .iter()
            .map(|group| {
                let mean = mean(group);
                group.iter().map(|r| finite(r - mean)).collect()
            })
            .collect();
        let z = self.z_score().among(&centred.concat());
        groups
            .iter()
            .zip(rewards.iter().zip(&centred))
            .map(|(group, (rewards, centred))| {
                let advantages: Vec<f64> = centred.iter().map(|r| z(*r)).collect();
                copied(group, rewards, &advantages)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::testing::{assert_per_turn, single_turns};

    #[test]
    fn the_scale_is_the_batch_s_and_the_baseline_the_group_s() {
        let groups = [single_turns(&[1.0, 0.0]), single_turns(&[0.0, 0.0]), single_turns(&[0.5, 0.5])];
        let credit = ReinforcePp { eps: 0.0, ..ReinforcePp::default() }.credit(&groups);
        // Centred: ±0.5 and four zeros; σ = sqrt(0.5 / 5).
        let a = 0.5 / 0.1_f64.sqrt();
        assert_per_turn(&credit[0].advantages, &[&[a], &[-a]]);
        assert_per_turn(&credit[1].advantages, &[&[0.0], &[0.0]]);
        assert_per_turn(&credit[2].advantages, &[&[0.0], &[0.0]]);
    }
}
