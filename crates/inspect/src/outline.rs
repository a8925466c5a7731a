//! Reads parts of a line of `rollouts/step_*.jsonl` fast. An outline for the index counts tokens without
//! storing them, and a search reads texts. [`turnwise_run::GroupRecord`] is the whole line.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use turnwise_trajectory::{CallRecord, Message, OutputStatus, Rewards, Stop};

/// Holds the parts of a line that the index needs.
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
    pub(crate) turns: Vec<Rewards>,
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
    #[serde(default)]
    pub(crate) branch: Option<BranchOutline>,
    pub(crate) tokens: Count,
    pub(crate) observation: Count,
    pub(crate) calls: Vec<CallOutline>,
}

#[derive(Deserialize)]
pub(crate) struct BranchOutline {
    pub(crate) context: Count,
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

/// Holds the parts of a line that a search reads.
#[derive(Deserialize)]
pub(crate) struct GroupTexts {
    pub(crate) group: String,
    pub(crate) trajectories: Vec<TrajectoryTexts>,
    #[serde(default)]
    pub(crate) messages: Vec<Message>,
}

#[derive(Deserialize)]
pub(crate) struct TrajectoryTexts {
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
    pub(crate) calls: Vec<CallRecord>,
}

/// Counts the entries of an array.
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
