//! `[eval]`: evaluation on held-out tasks.

use serde::{Deserialize, Serialize};
use turnwise_runfile::Within;

/// Configures held-out evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalConfig {
    /// Maximum number of held-out tasks to play.
    #[serde(deserialize_with = "Within::<0, 1_000_000>::read")]
    pub tasks: usize,
    /// Trajectories per task.
    #[serde(deserialize_with = "Within::<1, 65_536>::read")]
    pub samples: usize,
    /// Sampling temperature; 0 is greedy.
    #[serde(deserialize_with = "Within::<0, 100>::read")]
    pub temperature: f64,
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self { tasks: 256, samples: 1, temperature: 1.0 }
    }
}
