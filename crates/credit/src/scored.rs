//! Trajectories with the rewards of their turns, and the group they are compared in.

use serde::{Deserialize, Serialize};
use turnwise_trajectory::Rewards;

/// Holds a trajectory's turn rewards and other inputs of estimators, shaping and filters.
///
/// An environment's judge makes it, the similarity of programs adds `code`, and a reference model `kl`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ScoredTrajectory {
    /// The rewards of each turn, by name, before shaping.
    pub turns: Vec<Rewards>,
    /// Whether the final answer is right: for shaping, accuracy, refills and curricula. Estimators don't see
    /// it.
    #[serde(default)]
    pub correct: bool,
    /// Code of all turns, concatenated in order, for shaping only.
    #[serde(default)]
    pub code: String,
    /// Whether each turn broke the format. Shorter than `turns` where a record lacks it: see
    /// [`ScoredTrajectory::violates`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<bool>,
    /// Whether a limit ended the trajectory ([`turnwise_trajectory::Stop::is_truncated`]), for filters only.
    #[serde(default)]
    pub truncated: bool,
    /// Whether some turn holds neither a complete tool call nor a final answer, for filters only.
    #[serde(default)]
    pub void_turn: bool,
    /// A key of the observation before each turn: equal keys are equal observations. Only estimators that
    /// compare states across trajectories use it. A missing key equals no other; the first turn always sees
    /// the prompt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<String>,
    /// A key of the calls of each turn: equal keys are equal calls. Estimators that compare states use it. It
    /// is empty for a turn without calls; a missing key equals no other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<String>,
    /// KL divergence to the reference policy, summed over each turn's sampled tokens, in nats. It is used
    /// only where the KL penalty is part of the reward.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kl: Vec<f64>,
}

impl ScoredTrajectory {
    /// Returns whether a turn broke the format. Without a flag, it did if its `fmt` is below 0.
    pub fn violates(&self, turn: usize) -> bool {
        let told = self.violations.get(turn).copied();
        told.unwrap_or_else(|| self.turns.get(turn).is_some_and(|reward| reward.fmt() < 0.0))
    }
}

/// Holds the `G` trajectories of one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Name of the group, usually the task's id.
    pub group: String,
    /// Its trajectories.
    pub trajectories: Vec<ScoredTrajectory>,
}

impl Group {
    /// Returns the rewards of all turns by trajectory, with the shaped accuracies.
    ///
    /// `shaped` is the field of [`crate::ScoredGroup`].
    pub fn shaped_turns(&self, shaped: &[Option<f64>]) -> Vec<Vec<Rewards>> {
        let of_trajectory = |(trajectory, shaped): (&ScoredTrajectory, &Option<f64>)| {
            let mut turns = trajectory.turns.clone();
            if let (Some(acc), Some(last)) = (*shaped, turns.last_mut()) {
                last.set(Rewards::ACC, acc);
            }
            turns
        };
        self.trajectories.iter().zip(shaped).map(of_trajectory).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_is_a_flag_and_without_one_a_negative_format_reward() {
        let check = |line: &str, expect: &[bool]| {
            let scored: ScoredTrajectory = serde_json::from_str(line).unwrap();
            let found: Vec<bool> = (0..scored.turns.len()).map(|turn| scored.violates(turn)).collect();
            assert_eq!(found, expect, "{line}");
        };
        let turns = r#""turns":[{"acc":0.0,"fmt":-0.1},{"acc":1.0,"fmt":0.0}]"#;
        check(&format!("{{{turns}}}"), &[true, false]);
        check(&format!(r#"{{{turns},"violations":[false,true]}}"#), &[false, true]);
        check(&format!(r#"{{{turns},"violations":[false]}}"#), &[false, false]);
    }
}
