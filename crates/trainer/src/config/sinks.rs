//! Outputs for metrics besides `metrics.jsonl`.

use serde::{Deserialize, Serialize};

/// Chooses outputs for metrics besides `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SinksConfig {
    /// Writes `tensorboard/` in the run directory: `tensorboard --logdir runs`.
    pub tensorboard: bool,
    /// Writes `metrics.prom` in the run directory after each step, in the OpenMetrics text format. The
    /// textfile collector of Prometheus' node exporter and most monitoring agents read it.
    pub openmetrics: bool,
}
