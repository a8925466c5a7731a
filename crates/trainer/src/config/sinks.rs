//! Outputs for metrics besides `metrics.jsonl`.

use serde::{Deserialize, Serialize};

/// Chooses outputs for metrics besides `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SinksConfig {
    /// Whether to write `tensorboard/` in the run directory, for `tensorboard --logdir runs`.
    pub tensorboard: bool,
    /// Whether to write `metrics.prom` in the run directory after each step, in the OpenMetrics text format.
    /// The textfile collector of Prometheus' node exporter and most monitoring agents read it.
    pub openmetrics: bool,
}
