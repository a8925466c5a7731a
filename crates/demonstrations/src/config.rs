//! The keys of a run file about conversations.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use turnwise_runfile::Within;

/// Columns of rows.
pub const COLUMNS: [&str; 9] = [
    "answer",
    "completion",
    "conversations",
    "functions",
    "messages",
    "prompt",
    "question",
    "system",
    "tools",
];

/// Configures conversations to learn from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// File of conversations, one per row: JSON lines or one JSON array, plain or in gzip, or parquet. A row
    /// has `messages` with `tools`, `prompt` with `completion`, `conversations`, a problem of GSM8K, or a
    /// record of `turnwise rollout`.
    pub file: PathBuf,
    /// Number of rows to read from the start of the file; unset, all.
    #[serde(default, deserialize_with = "Within::<1, 1_000_000_000>::read")]
    pub limit: Option<usize>,
    /// Columns of the file by the names that are read, such as `messages` and `tools`:
    /// `messages = "dialogue"`. A path may lead into structs.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// Tokens that are trained. A message of the assistant with `"train": true` or `false`, or with a
    /// `weight` of 1 or 0, decides for itself.
    #[serde(default)]
    pub train_on: TrainOn,
    /// Maximum number of tokens of a sequence. The model's context is a limit too.
    #[serde(default = "max_tokens", deserialize_with = "Within::<2, 16_777_216>::read")]
    pub max_tokens: usize,
    /// Treatment of a longer sequence.
    #[serde(default)]
    pub too_long: TooLong,
}

/// Returns the default limit: as many tokens as a micro-batch has by default.
fn max_tokens() -> usize {
    8192
}

/// Chooses the tokens of a conversation that are trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainOn {
    /// Every turn of the assistant.
    #[default]
    Assistant,
    /// The last turn of the assistant.
    Last,
    /// Everything: prompts and tool outputs too.
    All,
}

/// Chooses the treatment of a sequence that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TooLong {
    /// The sequence ends with the last trained turn that fits, and is left out if none does.
    #[default]
    Cut,
    /// The sequence is left out.
    LeaveOut,
}
