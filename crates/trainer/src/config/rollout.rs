//! `[rollout]`: how a run plays its tasks.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tokenizers::Tokenizer;
use turnwise_curriculum::CurriculumConfig;
use turnwise_model::HostPrecision;
use turnwise_rollout::chat::{self, ChatError, ChatName};
use turnwise_runfile::{OrAuto, Within};
use turnwise_tools::CallFormat;
use turnwise_tools::executor::ExecutorConfig;
use turnwise_tools::format::FormatName;

use super::sampling::SamplingConfig;
use super::server::ServerConfig;

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
    /// Maximum number of rounds of a step after the first one. Each replaces groups without signal, whose
    /// advantages are all 0, by the next tasks. 0 trains on the groups of the first round.
    #[serde(deserialize_with = "Within::<0, 64>::read")]
    pub refill: usize,
    /// Maximum number of turns per trajectory.
    #[serde(deserialize_with = "Within::<1, 65_536>::read")]
    pub max_turns: usize,
    /// Maximum number of sampled tokens per turn.
    #[serde(deserialize_with = "Within::<1, 16_777_216>::read")]
    pub max_turn_tokens: usize,
    /// Maximum number of tokens per trajectory, prompt and tool output included.
    #[serde(deserialize_with = "Within::<1, 16_777_216>::read")]
    pub max_tokens: usize,
    /// Maximum number of tokens of an observation. A longer one loses its middle.
    #[serde(deserialize_with = "Within::<0, 16_777_216>::read")]
    pub max_observation_tokens: usize,
    /// Maximum number of calls of a turn that run. The others are rejected, and the policy is told so.
    #[serde(deserialize_with = "Within::<1, 65_536>::read")]
    pub max_turn_calls: usize,
    /// Memory in MiB for the KV cache. A trajectory needs room for `max_tokens`; those that don't fit wait
    /// for one that ends. Results don't depend on it. Unset, it is half of the memory that is left, and
    /// unbounded on a GPU.
    #[serde(deserialize_with = "Within::<0, 16_777_216>::read")]
    pub cache_mib: Option<u64>,
    /// Chat format of messages.
    pub chat: ChatName,
    /// Format of tool calls.
    pub format: OrAuto<FormatName>,
    /// Whether the system message describes the tools. A model that was trained on them doesn't need it.
    pub describe_tools: bool,
    /// Whether the first complete call ends its turn. Otherwise the turn goes on and may hold several calls.
    pub stop_at_call: bool,
    /// Whether the calls of a trajectory share one interpreter state, as in a notebook. Otherwise each starts
    /// afresh.
    pub keep_state: bool,
    /// Memory in MiB of a cache from code to its output: equal code runs once, for all trajectories.
    /// Deterministic code isn't affected. Code that reads the clock, `os.urandom` or an address gets one
    /// answer for all samples, as it does from `random` in any case. Calls that hit a limit run again, and so
    /// do calls that share a state. 0 runs every call.
    #[serde(deserialize_with = "Within::<0, 16_777_216>::read")]
    pub remember_mib: usize,
    /// Number of updates by which the weights that play a step are behind those that learn from it. 1 plays
    /// the next step during the update of this one, which hides slow tools and servers. The results don't
    /// depend on how long either takes.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub lag: usize,
    /// Element type of the weights that the CPU's sampler reads. Below `f32` it reads fewer bytes per token,
    /// and its log-probabilities are off by rounding. The trainer then recomputes them, and `tis_cap` of the
    /// loss corrects for the difference. Evaluations are played in f32.
    pub precision: HostPrecision,
    /// Choice of the tasks that a step plays.
    pub curriculum: CurriculumConfig,
    /// How tokens are sampled.
    pub sampling: SamplingConfig,
    /// The interpreter that runs the code of calls.
    pub executor: ExecutorConfig,
    /// Inference servers that sample the turns; unset, the model in this process does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerConfig>,
}

impl RolloutConfig {
    /// Returns whether the sampler rounds the weights that it is given.
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
