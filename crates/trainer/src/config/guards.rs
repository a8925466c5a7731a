//! What looks at the metrics of each step, and when it speaks up: [`crate::guards`].

use serde::{Deserialize, Serialize};
use turnwise_runfile::Within;

/// What a guard that fires does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing: the guard doesn't look.
    Off,
    /// A line in the log and the guard's name in the metrics; the run goes on.
    Warn,
    /// The same, and the run ends after the step.
    Stop,
}

/// What each guard does. All are on by default; only numbers that are no numbers stop a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuardsConfig {
    /// NaN or infinity in the loss, the gradient or the weights.
    pub non_finite: Action,
    /// The policy has become nearly deterministic.
    pub entropy: Action,
    /// The policy calls tools much less than it did.
    pub tools: Action,
    /// Sampler and trainer disagree about the policy.
    pub drift: Action,
    /// No answer is right any more, or all are.
    pub reward: Action,
    /// More and more trajectories run into a limit.
    pub truncation: Action,
    /// Filters leave too little to learn from.
    pub dropped: Action,
    /// When they fire.
    pub limits: LimitsConfig,
}

impl Default for GuardsConfig {
    fn default() -> Self {
        Self {
            non_finite: Action::Stop,
            entropy: Action::Warn,
            tools: Action::Warn,
            drift: Action::Warn,
            reward: Action::Warn,
            truncation: Action::Warn,
            dropped: Action::Warn,
            limits: LimitsConfig::default(),
        }
    }
}

/// When guards fire. Means are taken over `window` steps; "at first" is the mean of the first `window` steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Steps that a mean is taken over.
    #[serde(deserialize_with = "Within::<1, 1_000_000>::read")]
    pub window: usize,
    /// Least share of its entropy at first that the policy keeps.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub entropy_share: f64,
    /// Least share of the calls per trajectory at first.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub tools_share: f64,
    /// Largest difference, in nats, between a token's log-probability in the sampler and in the trainer, before the
    /// step's first update. Twenty times as much is allowed where activations aren't f32.
    #[serde(deserialize_with = "Within::<0, 1_000>::read")]
    pub logprob_gap: f64,
    /// Largest mean KL divergence, in nats per token, of the updated policy from the one that played.
    #[serde(deserialize_with = "Within::<0, 1_000>::read")]
    pub old_kl: f64,
    /// Largest share of truncated trajectories, if it was smaller at first.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub truncated: f64,
    /// Largest share of dropped trajectories.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub dropped: f64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            window: 8,
            entropy_share: 0.1,
            tools_share: 0.25,
            logprob_gap: 0.01,
            old_kl: 0.1,
            truncated: 0.5,
            dropped: 0.9,
        }
    }
}
