//! `[train]`: the length of a run, its seed and its checkpoints.

use serde::{Deserialize, Serialize};
use turnwise_runfile::{Seed, Within};

/// Sets the length of a run, its seed and its checkpoints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Seed of everything random in the run.
    #[serde(deserialize_with = "Seed::read")]
    pub seed: u64,
    /// Number of steps. Each plays a batch and learns from it.
    #[serde(deserialize_with = "Within::<1, 1_000_000_000>::read")]
    pub steps: usize,
    /// Steps between checkpoints; the last step always makes one.
    #[serde(deserialize_with = "Within::<1, 1_000_000_000>::read")]
    pub checkpoint_every: usize,
    /// Steps between evaluations; 0 evaluates before the first step and after the last one only.
    #[serde(deserialize_with = "Within::<0, 1_000_000_000>::read")]
    pub eval_every: usize,
    /// Number of newest checkpoints to keep; 0 keeps all. With 2 or more, a run can resume if its newest one
    /// is damaged.
    #[serde(deserialize_with = "Within::<0, 1_000_000_000>::read")]
    pub keep: usize,
    /// Number of checkpoints with the best held-out accuracy to keep besides the newest. Only evaluated steps
    /// count.
    #[serde(deserialize_with = "Within::<0, 1_000_000_000>::read")]
    pub keep_best: usize,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self { seed: 0, steps: 100, checkpoint_every: 50, eval_every: 0, keep: 0, keep_best: 1 }
    }
}
