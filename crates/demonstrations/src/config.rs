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

/// Conversations to learn from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// File of conversations, one a row: `messages` with `tools`, `prompt` with `completion`,
    /// `conversations`, problems of GSM8K, or lines of `turnwise rollout`. JSON lines or one JSON array,
    /// plain or in gzip, or parquet.
    pub file: PathBuf,
    /// How many rows to read from the start of the file; without it, all.
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
    /// Tokens of a sequence at most. The model's context is a limit beside it.
    #[serde(default = "max_tokens", deserialize_with = "Within::<2, 16_777_216>::read")]
    pub max_tokens: usize,
    /// Treatment of a sequence that is longer.
    #[serde(default)]
    pub too_long: TooLong,
}

/// Returns the default limit: as many tokens as a micro-batch has by default.
fn max_tokens() -> usize {
    8192
}

/// Tokens of a conversation that are trained.
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

/// Treatment of a sequence that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TooLong {
    /// It ends with the last trained turn that fits, and is left out if none does.
    #[default]
    Cut,
    /// It is left out.
    LeaveOut,
}
