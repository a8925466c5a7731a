//! A line of `rollouts/step_*.jsonl`, twice: in full for reading one group, and in outline for the index, where
//! tokens are counted and never kept.

use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use turnwise_trajectory::{OutputStatus, Stop, Trajectory, TurnReward};

/// A group as it was trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// Name of the group, usually the task's id.
    pub group: String,
    /// The step that played it, from 0.
    pub step: usize,
    /// Difficulty of the task, as its environment counts it.
    pub level: u32,
    /// The right answer, where the record has it.
    #[serde(default)]
    pub expected: Option<String>,
    /// The advantage estimator.
    pub estimator: String,
    /// What the estimator normalises over.
    pub norm_scope: String,
    /// `[trajectory][turn]`: rewards after shaping.
    pub rewards: Vec<Vec<f64>>,
    /// `[trajectory][turn]`: discounted returns.
    pub returns: Vec<Vec<f64>>,
    /// `[trajectory][turn]`: advantages.
    pub advantages: Vec<Vec<f64>>,
    /// The filter that removed a trajectory from the loss.
    pub dropped: Vec<Option<String>>,
    /// The trajectories.
    pub trajectories: Vec<TrajectoryRecord>,
}

/// One trajectory of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrajectoryRecord {
    /// Rewards before shaping, by turn.
    pub turns: Vec<TurnReward>,
    /// Whether each turn broke the format, where the record has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<bool>,
    /// Whether the final answer is right.
    pub correct: bool,
    /// Tokens, texts, calls.
    pub played: Trajectory,
    /// `[turn][token]`: the trainer's log-probability minus the sampler's when the token was trained on, where the
    /// record has it. Its exponential is the ratio of the loss.
    #[serde(default)]
    pub log_ratios: Option<Vec<Vec<f32>>>,
    /// What the policy was asked, where the record has text and no tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<String>,
}

/// What the index takes from a line.
#[derive(Deserialize)]
pub(crate) struct GroupOutline {
    pub(crate) group: String,
    pub(crate) step: usize,
    pub(crate) level: u32,
    pub(crate) rewards: Vec<Vec<f64>>,
    pub(crate) returns: Vec<Vec<f64>>,
    pub(crate) advantages: Vec<Vec<f64>>,
    pub(crate) dropped: Vec<Option<String>>,
    pub(crate) trajectories: Vec<TrajectoryOutline>,
}

#[derive(Deserialize)]
pub(crate) struct TrajectoryOutline {
    pub(crate) turns: Vec<TurnReward>,
    #[serde(default)]
    pub(crate) violations: Vec<bool>,
    pub(crate) correct: bool,
    pub(crate) played: PlayedOutline,
}

#[derive(Deserialize)]
pub(crate) struct PlayedOutline {
    pub(crate) sample: u32,
    pub(crate) prompt: Count,
    pub(crate) turns: Vec<TurnOutline>,
    pub(crate) stop: Stop,
}

#[derive(Deserialize)]
pub(crate) struct TurnOutline {
    pub(crate) tokens: Count,
    pub(crate) observation: Count,
    pub(crate) calls: Vec<CallOutline>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CallOutline {
    Executed { output: OutputOutline },
    Malformed(IgnoredAny),
}

#[derive(Deserialize)]
pub(crate) struct OutputOutline {
    pub(crate) status: OutputStatus,
}

/// What a search looks at in a line.
#[derive(Deserialize)]
pub(crate) struct GroupTexts {
    pub(crate) group: String,
    pub(crate) trajectories: Vec<TrajectoryTexts>,
}

#[derive(Deserialize)]
pub(crate) struct TrajectoryTexts {
    #[serde(default)]
    pub(crate) opening: Option<String>,
    pub(crate) played: PlayedTexts,
}

#[derive(Deserialize)]
pub(crate) struct PlayedTexts {
    pub(crate) prompt: Vec<u32>,
    pub(crate) turns: Vec<TurnTexts>,
}

#[derive(Deserialize)]
pub(crate) struct TurnTexts {
    pub(crate) text: String,
    pub(crate) calls: Vec<turnwise_trajectory::CallRecord>,
}

/// Length of an array whose entries don't matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) u32);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Count;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Count, A::Error> {
                let mut count = 0;
                while entries.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Count(count))
            }
        }

        deserializer.deserialize_seq(Entries)
    }
}
