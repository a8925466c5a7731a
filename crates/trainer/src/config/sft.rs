//! The run file of `turnwise sft`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use turnwise_demonstrations::DataConfig;
use turnwise_envs::EnvConfig;
use turnwise_mcp::McpConfig;
use turnwise_runfile::{Seed, Within};

use super::eval::EvalConfig;
use super::optimizer::OptimizerConfig;
use super::rollout::RolloutConfig;

/// Describes supervised fine-tuning on conversations, or on the demonstrations of an environment
/// (`turnwise sft`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftConfig {
    /// The model to start from.
    pub model: StartConfig,
    /// Conversations to learn from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataConfig>,
    /// The task family that the evaluation plays. Without `data`, it writes the demonstrations too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<EnvConfig>,
    /// MCP servers, by names of yours, whose tools are on offer besides those of the environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, McpConfig>,
    /// Seed of the weights and of the order of demonstrations.
    #[serde(default, deserialize_with = "Seed::read")]
    pub seed: u64,
    /// Number of optimizer steps.
    #[serde(deserialize_with = "Within::<1, 1_000_000_000>::read")]
    pub steps: usize,
    /// Demonstrations per step, or sequences of `data`. They are packed up to `optimizer.micro_batch_tokens`
    /// and don't attend to each other.
    #[serde(deserialize_with = "Within::<1, 65_536>::read")]
    pub batch: usize,
    /// How gradients update the weights; the learning rate falls to a tenth along a cosine.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// Evaluation after the last step.
    #[serde(default)]
    pub eval: EvalConfig,
    /// How rollouts of the evaluation are played.
    #[serde(default)]
    pub rollout: RolloutConfig,
}

/// Names the model that supervised fine-tuning starts from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StartConfig {
    /// A Hugging Face folder.
    Folder(PathBuf),
    /// Random weights and a tokenizer made from the demonstrations.
    Scratch(ScratchConfig),
}

/// Sizes a Llama model with random weights and a byte-level BPE vocabulary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScratchConfig {
    /// Maximum size of the vocabulary, with the 256 bytes and the chat tokens.
    #[serde(deserialize_with = "Within::<263, 1_048_576>::read")]
    pub vocab_size: usize,
    /// Width of the residual stream.
    #[serde(deserialize_with = "Within::<1, 1_048_576>::read")]
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    #[serde(deserialize_with = "Within::<1, 1_048_576>::read")]
    pub intermediate_size: usize,
    /// Number of blocks.
    #[serde(deserialize_with = "Within::<1, 1_024>::read")]
    pub layers: usize,
    /// Number of query heads.
    #[serde(deserialize_with = "Within::<1, 65_536>::read")]
    pub heads: usize,
    /// Number of key and value heads.
    #[serde(deserialize_with = "Within::<1, 65_536>::read")]
    pub kv_heads: usize,
    /// Maximum length of the context in tokens.
    #[serde(deserialize_with = "Within::<1, 268_435_456>::read")]
    pub max_position: usize,
}
