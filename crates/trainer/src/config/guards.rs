//! The guards over each step's metrics and their limits; [`crate::guards`] runs them.

use serde::{Deserialize, Serialize};
use turnwise_runfile::Within;

/// Chooses the reaction to a guard that fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Turns the guard off.
    Off,
    /// Writes a line to the log and the guard's name to the metrics; the run goes on.
    Warn,
    /// Warns, and ends the run after the step.
    Stop,
}

/// Sets each guard's action. All are on by default; only `non_finite` stops a run by default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuardsConfig {
    /// The loss, the gradient or the weights have a NaN or an infinity.
    pub non_finite: Action,
    /// The entropy collapses: the policy becomes nearly deterministic.
    pub entropy: Action,
    /// The policy calls tools much less than at first.
    pub tools: Action,
    /// Log-probabilities of sampler and trainer differ.
    pub drift: Action,
    /// All answers are wrong now, or all are right.
    pub reward: Action,
    /// The share of truncated trajectories rises.
    pub truncation: Action,
    /// Filters drop too many trajectories.
    pub dropped: Action,
    /// Thresholds at which guards fire.
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

/// Sets the thresholds of guards. Means are taken over `window` steps; "at first" is the mean of the first
/// `window` steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Number of steps that a mean is taken over.
    #[serde(deserialize_with = "Within::<1, 1_000_000>::read")]
    pub window: usize,
    /// `entropy` fires below this share of the entropy at first.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub entropy_share: f64,
    /// `tools` fires below this share of the calls per trajectory at first.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub tools_share: f64,
    /// `drift` fires above this difference, in nats, of a token's log-probabilities in sampler and trainer.
    /// They are compared before the step's first update. The limit is 20 times as high if activations or the
    /// sampler's weights aren't f32, and 100 times with a sampler in `int8`.
    #[serde(deserialize_with = "Within::<0, 1_000>::read")]
    pub logprob_gap: f64,
    /// `drift` fires above this mean KL divergence, in nats per token, of the updated policy to that of the
    /// rollouts.
    #[serde(deserialize_with = "Within::<0, 1_000>::read")]
    pub old_kl: f64,
    /// `truncation` fires above this share of truncated trajectories, if it was smaller at first.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub truncated: f64,
    /// `dropped` fires above this share of dropped trajectories.
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
