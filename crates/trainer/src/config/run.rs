//! The run file of `turnwise train`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use turnwise_credit::{AdvantageConfig, FilterConfig, ShapingConfig, WeightsConfig};
use turnwise_envs::{EnvConfig, RewardConfig};
use turnwise_loss::LossConfig;
use turnwise_mcp::McpConfig;

use super::eval::EvalConfig;
use super::guards::GuardsConfig;
use super::optimizer::OptimizerConfig;
use super::rollout::RolloutConfig;
use super::sinks::SinksConfig;
use super::train::TrainConfig;

/// Describes one training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Hugging Face folder of the model to start from.
    pub model: PathBuf,
    /// The task family and its tools.
    pub env: EnvConfig,
    /// MCP servers, by names of yours, whose tools are on offer besides those of the environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, McpConfig>,
    /// How rollouts are played.
    #[serde(default)]
    pub rollout: RolloutConfig,
    /// Turn rewards.
    #[serde(default)]
    pub reward: RewardConfig,
    /// Partial credit for failed trajectories.
    #[serde(default)]
    pub shaping: ShapingConfig,
    /// The advantage estimator.
    #[serde(default)]
    pub advantage: AdvantageConfig,
    /// Filters that leave trajectories out of the loss.
    #[serde(default)]
    pub filter: FilterConfig,
    /// How the loss is normalised.
    #[serde(default)]
    pub weights: WeightsConfig,
    /// The policy loss.
    #[serde(default)]
    pub loss: LossConfig,
    /// How gradients update the weights.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// Length of the run, seed and checkpoints.
    #[serde(default)]
    pub train: TrainConfig,
    /// Held-out evaluation.
    #[serde(default)]
    pub eval: EvalConfig,
    /// Guards over the metrics of each step, which warn or stop the run.
    #[serde(default)]
    pub guards: GuardsConfig,
    /// Outputs for metrics besides `metrics.jsonl`.
    #[serde(default)]
    pub sinks: SinksConfig,
}

impl RunConfig {
    /// Returns whether the loss or the reward needs the policy before the first step.
    pub(crate) fn needs_reference(&self) -> bool {
        self.loss.loss().terms().beta > 0.0 || self.shaping.kl_beta > 0.0
    }
}
