//! The rewards of one name in a step, over trajectories and by turn index.

use serde::{Deserialize, Serialize};

use crate::metric::Metric;

/// Holds one entry of `rewards`: numbers before shaping, normalisation and weights.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RewardMetrics {
    /// Mean over trajectories of the sum over a trajectory's turns.
    pub mean: Metric,
    /// Mean over the trajectories that reach a turn, first turn first. A turn without the name counts as 0.
    pub by_turn: Vec<Metric>,
}
