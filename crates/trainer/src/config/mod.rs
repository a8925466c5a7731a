//! The run file: one TOML describes one run. Unknown keys are refused, with their line.

mod consistent;
mod guards;
mod load;
mod preset;
mod server;
mod sinks;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokenizers::Tokenizer;
use turnwise_credit::{AdvantageConfig, FilterConfig, ShapingConfig, WeightsConfig};
use turnwise_curriculum::CurriculumConfig;
use turnwise_demonstrations::DataConfig;
use turnwise_envs::{EnvConfig, RewardConfig};
use turnwise_loss::LossConfig;
use turnwise_mcp::McpConfig;
use turnwise_model::{HostPrecision, LoraConfig};
use turnwise_rollout::chat::{self, ChatError, ChatName};
use turnwise_runfile::{Above, OrAuto, Parts, Seed, Within};
use turnwise_tools::CallFormat;
use turnwise_tools::executor::ExecutorConfig;
use turnwise_tools::format::FormatName;

pub(crate) use consistent::AGENT_HAS_TOOLS;
pub use guards::{Action, GuardsConfig, LimitsConfig};
pub use load::{ScoreConfig, ScoreRewardConfig, load, load_score};
pub use server::ServerConfig;
pub use sinks::SinksConfig;
pub use turnwise_runfile::{ConfigError, Consistent, to_toml};

/// Describes one training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Hugging Face folder of the model to start from.
    pub model: PathBuf,
    /// The task family and its tools.
    pub env: EnvConfig,
    /// Tools of MCP servers besides those of the environment, by a name of yours for each server.
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
    /// Trajectories left out of the loss.
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
    /// Length of the run, its seed and its checkpoints.
    #[serde(default)]
    pub train: TrainConfig,
    /// Held-out evaluation.
    #[serde(default)]
    pub eval: EvalConfig,
    /// Guards over the metrics of each step.
    #[serde(default)]
    pub guards: GuardsConfig,
    /// Outputs for metrics besides `metrics.jsonl`.
    #[serde(default)]
    pub sinks: SinksConfig,
}

impl RunConfig {
    /// Whether the loss or the reward needs the policy before the first step.
    pub(crate) fn needs_reference(&self) -> bool {
        self.loss.loss().terms().beta > 0.0 || self.shaping.kl_beta > 0.0
    }
}

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
    /// Tools of MCP servers besides those of the environment, by a name of yours for each server.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, McpConfig>,
    /// Seed of the weights and of the order of demonstrations.
    #[serde(default, deserialize_with = "Seed::read")]
    pub seed: u64,
    /// Optimizer steps.
    #[serde(deserialize_with = "Within::<1, 1_000_000_000>::read")]
    pub steps: usize,
    /// Demonstrations per step, or sequences of `data`. Sequences are packed up to
    /// `optimizer.micro_batch_tokens` and don't see each other.
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

/// A Llama-shaped model with random weights. The vocabulary is a byte-level BPE.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScratchConfig {
    /// Entries of the vocabulary at most: the 256 bytes and the chat tokens are among them.
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
    /// Query heads.
    #[serde(deserialize_with = "Within::<1, 65_536>::read")]
    pub heads: usize,
    /// Key/value heads.
    #[serde(deserialize_with = "Within::<1, 65_536>::read")]
    pub kv_heads: usize,
    /// Longest context in tokens.
    #[serde(deserialize_with = "Within::<1, 268_435_456>::read")]
    pub max_position: usize,
}

/// Configures how rollouts are played.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutConfig {
    /// Tasks per step.
    #[serde(deserialize_with = "Within::<1, 65_536>::read")]
    pub groups: usize,
    /// Trajectories per task, `G`.
    #[serde(deserialize_with = "Within::<1, 65_536>::read")]
    pub samples: usize,
    /// Most rounds of a step after the first one. Each replaces the groups that have no signal by the next
    /// tasks. 0 trains on the groups of the first round.
    #[serde(deserialize_with = "Within::<0, 64>::read")]
    pub refill: usize,
    /// Most turns per trajectory.
    #[serde(deserialize_with = "Within::<1, 65_536>::read")]
    pub max_turns: usize,
    /// Most sampled tokens per turn.
    #[serde(deserialize_with = "Within::<1, 16_777_216>::read")]
    pub max_turn_tokens: usize,
    /// Most tokens per trajectory, prompt and tool output included.
    #[serde(deserialize_with = "Within::<1, 16_777_216>::read")]
    pub max_tokens: usize,
    /// Most tokens of one observation; more is cut in the middle.
    #[serde(deserialize_with = "Within::<0, 16_777_216>::read")]
    pub max_observation_tokens: usize,
    /// Most calls of one turn that run; the others are rejected, and the policy is told so.
    #[serde(deserialize_with = "Within::<1, 65_536>::read")]
    pub max_turn_calls: usize,
    /// Memory in MiB for keys and values. A trajectory needs room for `max_tokens`; those that don't fit wait
    /// for one that ends. Results don't depend on it. Unset, it's half of the memory that is left, or no
    /// bound on a GPU.
    #[serde(deserialize_with = "Within::<0, 16_777_216>::read")]
    pub cache_mib: Option<u64>,
    /// Chat format of messages. `auto` takes the model folder's chat template, or ChatML if it has none;
    /// `template`, `chatml` and `qwen3` name one.
    pub chat: ChatName,
    /// Format of tool calls. `auto` takes the format that the model folder's template or tokenizer shows, or
    /// `hermes` if they show none.
    pub format: OrAuto<FormatName>,
    /// Whether the system message describes the tools. A model that was trained on them doesn't need it.
    pub describe_tools: bool,
    /// Whether the first complete call ends its turn. Otherwise the turn goes on and may hold several calls.
    pub stop_at_call: bool,
    /// Whether the calls of a trajectory share one interpreter state, as in a notebook. Otherwise each starts
    /// afresh.
    pub keep_state: bool,
    /// Memory in MiB for code and its output: equal code runs once, for all trajectories. Deterministic code
    /// isn't affected. Code that reads the clock, `os.urandom` or an address gets one answer for all samples,
    /// as it does from `random` in any case. Calls that hit a limit run again, and so do calls that share a
    /// state. 0 runs every call.
    #[serde(deserialize_with = "Within::<0, 16_777_216>::read")]
    pub remember_mib: usize,
    /// Updates between the weights that play a step and those that learn from it. 1 plays the next step while
    /// this one is learnt, which hides slow tools and servers. Plays and updates don't depend on their times.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub lag: usize,
    /// Type of the weights from which the CPU's sampler plays. Below `f32` it reads fewer bytes for a token,
    /// and its log-probabilities are off by rounding. The trainer then recomputes them, and
    /// `loss.clip.tis_cap` weighs the difference. Evaluations are played in f32.
    pub precision: HostPrecision,
    /// Which tasks a step plays.
    pub curriculum: CurriculumConfig,
    /// How tokens are sampled.
    pub sampling: SamplingConfig,
    /// The executor of the calls.
    pub executor: ExecutorConfig,
    /// Servers that sample the turns. Without them the model in this process does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerConfig>,
}

impl RolloutConfig {
    /// Whether the sampler rounds the weights that it is given.
    pub(crate) fn rounds(&self) -> bool {
        self.precision != HostPrecision::F32
    }

    /// Returns the call format of a model folder with its tokenizer, or of a new model without a folder.
    ///
    /// # Errors
    /// If the format is `auto` and the folder's chat settings can't be read.
    pub fn call_format(
        &self,
        folder: Option<&Path>,
        tokenizer: &Tokenizer,
    ) -> Result<Box<dyn CallFormat>, ChatError> {
        Ok(match self.format {
            OrAuto::Named(format) => format,
            OrAuto::Auto => chat::call_format(folder, tokenizer)?,
        }
        .build())
    }

    /// Returns the call format where no folder is: of a new model, or of a server's messages.
    pub fn call_format_without_folder(&self) -> Box<dyn CallFormat> {
        self.format.or_else(|| FormatName::Hermes).build()
    }
}

impl Default for RolloutConfig {
    fn default() -> Self {
        Self {
            groups: 16,
            samples: 8,
            refill: 0,
            max_turns: 8,
            max_turn_tokens: 256,
            max_tokens: 2048,
            max_observation_tokens: 256,
            max_turn_calls: 32,
            cache_mib: None,
            chat: ChatName::default(),
            format: OrAuto::Named(FormatName::Hermes),
            describe_tools: true,
            stop_at_call: false,
            keep_state: false,
            remember_mib: 64,
            lag: 0,
            precision: HostPrecision::F32,
            curriculum: CurriculumConfig::default(),
            sampling: SamplingConfig::default(),
            executor: ExecutorConfig::default(),
            server: None,
        }
    }
}

/// Configures how tokens are sampled while training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SamplingConfig {
    /// Divisor of the logits.
    #[serde(deserialize_with = "Parts::<1, 10_000, 100>::read")]
    pub temperature: f64,
    /// Keeps the `top_k` likeliest tokens; 0 keeps all.
    #[serde(deserialize_with = "Within::<0, 1_000_000_000>::read")]
    pub top_k: usize,
    /// Keeps the smallest set of tokens whose probability reaches `top_p`; 1 keeps all.
    #[serde(deserialize_with = "Above::<0, 1>::read")]
    pub top_p: f64,
    /// Keeps tokens at least `min_p` times as likely as the likeliest; 0 keeps all.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub min_p: f64,
}

impl Default for SamplingConfig {
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0 }
    }
}

/// Decays of a moment. 1 in f32 would divide by zero.
type Decay = Parts<0, 99_999, 100_000>;

/// Configures AdamW with linear warm-up and clipping by global norm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Learning rate after warm-up.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub lr: f64,
    /// Optimizer updates over which the learning rate grows from 0; a step makes `minibatches` of them.
    #[serde(deserialize_with = "Within::<0, 1_000_000_000>::read")]
    pub warmup: usize,
    /// Decay of the first moment.
    #[serde(deserialize_with = "Decay::read")]
    pub beta1: f64,
    /// Decay of the second moment.
    #[serde(deserialize_with = "Decay::read")]
    pub beta2: f64,
    /// Decoupled weight decay.
    #[serde(deserialize_with = "Within::<0, 1_000>::read")]
    pub weight_decay: f64,
    /// Largest global norm of the gradient; 0 switches clipping off.
    #[serde(deserialize_with = "Within::<0, 1_000_000_000>::read")]
    pub clip_norm: f64,
    /// Optimizer updates per batch of rollouts, each on an equal part of the trained trajectories. With fewer
    /// trajectories than `minibatches`, each makes one update.
    #[serde(deserialize_with = "Within::<1, 65_536>::read")]
    pub minibatches: usize,
    /// Most tokens per forward pass, counting the padding that other devices than the CPU need.
    #[serde(deserialize_with = "Within::<1, 16_777_216>::read")]
    pub micro_batch_tokens: usize,
    /// Number of shares of an update's micro-batches, a power of two. Their gradients are summed in a binary
    /// tree, so that the bytes of a run on the CPU depend neither on its cores nor on its ranks, which divide
    /// the shards. Unset, there is one share per core, and one rank.
    #[serde(deserialize_with = "Within::<1, 65_536>::read", skip_serializing_if = "Option::is_none")]
    pub shards: Option<usize>,
    /// Computes each block twice instead of keeping its activations: up to a third more arithmetic, a
    /// fraction of the memory. Unset, it is done on the CPU where a token would keep more than 256 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recompute: Option<bool>,
    /// Factor of the load-balancing loss of models with experts (arXiv:2101.03961 eq. 4); 0 switches it off.
    /// Each sequence has a separate loss, and their mean counts.
    #[serde(deserialize_with = "Within::<0, 1_000>::read")]
    pub router_aux_loss_coef: f64,
    /// Element type of activations; weights, gradients and moments stay in f32.
    pub precision: Precision,
    /// Parameters that aren't trained, by their Hugging Face names; `*` stands for any text.
    pub freeze: Vec<String>,
    /// Trains a low-rank adapter instead of the weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
}

/// Element type of activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// bfloat16.
    Bf16,
    /// Half precision. Its gradients underflow where those of bf16 don't; there is no loss scaling.
    F16,
}

impl Precision {
    /// Returns the name in a run file.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            lr: 1e-6,
            warmup: 10,
            beta1: 0.9,
            beta2: 0.95,
            weight_decay: 0.0,
            clip_norm: 1.0,
            minibatches: 1,
            micro_batch_tokens: 8192,
            shards: None,
            recompute: None,
            router_aux_loss_coef: 0.0,
            precision: Precision::F32,
            freeze: Vec::new(),
            lora: None,
        }
    }
}

/// Sets the length of a run, its seed and its checkpoints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Seed of everything random in the run.
    #[serde(deserialize_with = "Seed::read")]
    pub seed: u64,
    /// Steps.
    #[serde(deserialize_with = "Within::<1, 1_000_000_000>::read")]
    pub steps: usize,
    /// Steps between checkpoints; the last step always makes one.
    #[serde(deserialize_with = "Within::<1, 1_000_000_000>::read")]
    pub checkpoint_every: usize,
    /// Steps between evaluations; 0 evaluates before and after only.
    #[serde(deserialize_with = "Within::<0, 1_000_000_000>::read")]
    pub eval_every: usize,
    /// How many of the newest checkpoints are kept; 0 keeps all. With 2 or more, a run can resume after its
    /// newest is damaged.
    #[serde(deserialize_with = "Within::<0, 1_000_000_000>::read")]
    pub keep: usize,
    /// How many checkpoints with the best held-out accuracy are kept besides the newest. Only evaluated steps
    /// count.
    #[serde(deserialize_with = "Within::<0, 1_000_000_000>::read")]
    pub keep_best: usize,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self { seed: 0, steps: 100, checkpoint_every: 50, eval_every: 0, keep: 0, keep_best: 1 }
    }
}

/// Configures held-out evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalConfig {
    /// Held-out tasks.
    #[serde(deserialize_with = "Within::<0, 1_000_000>::read")]
    pub tasks: usize,
    /// Trajectories per task.
    #[serde(deserialize_with = "Within::<1, 65_536>::read")]
    pub samples: usize,
    /// Temperature; 0 is greedy.
    #[serde(deserialize_with = "Within::<0, 100>::read")]
    pub temperature: f64,
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self { tasks: 256, samples: 1, temperature: 1.0 }
    }
}
