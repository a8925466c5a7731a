//! Counts the costs and outcomes of a step's executions, for the metrics.

use serde::{Deserialize, Serialize};

/// Executions since the last [`take_stats`](super::Executor::take_stats).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ExecutorStats {
    /// How many ran, cells of sessions included.
    pub executions: u64,
    /// How many were answered without running, because the same code had run.
    pub remembered: u64,
    /// Hit a limit of time.
    pub timeouts: u64,
    /// Hit the limit of memory.
    pub out_of_memory: u64,
    /// Were killed.
    pub killed: u64,
    /// Faults of ours, those that the retry made good included.
    pub faults: u64,
    /// CPU time of all of them, in milliseconds.
    pub cpu_ms: f64,
    /// Wall time of an execution in milliseconds: half took no longer.
    pub wall_ms_p50: f64,
    /// 99 of 100 took no longer.
    pub wall_ms_p99: f64,
    /// Time waited for a free worker in milliseconds; not charged to the code. Half waited no longer.
    pub queue_ms_p50: f64,
    /// 99 of 100 waited no longer.
    pub queue_ms_p99: f64,
}
