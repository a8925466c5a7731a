//! Turn rewards and the group they are compared in.

use serde::{Deserialize, Serialize};

/// Reward of one turn, `r_ij = acc_ij + fmt_ij` (arXiv:2511.14846 §3.2). The parts stay apart because the
/// GRPO baseline of the paper combines them differently.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct TurnReward {
    /// Accuracy part: 1 at the last turn of a correct trajectory, else 0, or the shaped value.
    pub acc: f64,
    /// Format part: 0, or negative if the turn broke the format.
    pub fmt: f64,
}

impl TurnReward {
    /// `acc + fmt`.
    pub fn total(self) -> f64 {
        self.acc + self.fmt
    }
}

/// What an advantage estimator may see of one trajectory.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ScoredTrajectory {
    /// One reward per turn.
    pub turns: Vec<TurnReward>,
    /// Whether the final answer is right. Used by shaping only.
    #[serde(default)]
    pub correct: bool,
    /// Code of all turns, concatenated in order. Used by shaping only.
    #[serde(default)]
    pub code: String,
    /// Whether each turn broke the format. Shorter than `turns` where a record doesn't tell: see
    /// [`ScoredTrajectory::violates`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<bool>,
    /// A limit ended the trajectory ([`crate::Stop::is_truncated`]). Used by filters only.
    #[serde(default)]
    pub truncated: bool,
    /// Some turn holds neither a complete tool call nor a final answer. Used by filters only.
    #[serde(default)]
    pub void_turn: bool,
    /// What the policy saw before each turn, as a key: equal keys are equal observations. Used by the
    /// estimators that compare states across trajectories only. A missing key equals no other; the first
    /// turn always sees the prompt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<String>,
    /// What each turn asked of its tools, as a key: equal keys are equal calls. Used by estimators that tell
    /// trajectories apart by all that their environment knows; empty for a turn without calls, and unlike any other
    /// where it is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<String>,
    /// KL divergence to the reference policy, summed over each turn's sampled tokens, in nats. Used where the
    /// KL penalty is part of the reward only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kl: Vec<f64>,
}

impl ScoredTrajectory {
    /// Whether a turn broke the format. A turn without a flag did if its `fmt` is below 0.
    pub fn violates(&self, turn: usize) -> bool {
        let told = self.violations.get(turn).copied();
        told.unwrap_or_else(|| self.turns.get(turn).is_some_and(|reward| reward.fmt < 0.0))
    }
}

/// `G` trajectories of one prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Name of the group, usually the task's id.
    pub group: String,
    /// Its trajectories.
    pub trajectories: Vec<ScoredTrajectory>,
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
