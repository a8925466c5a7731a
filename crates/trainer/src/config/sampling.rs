//! `[rollout.sampling]`: how a training step samples tokens.

use serde::{Deserialize, Serialize};
use turnwise_runfile::{Above, Parts, Within};

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
