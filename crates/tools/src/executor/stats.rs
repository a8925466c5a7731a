//! Counts the costs and outcomes of a step's executions, for the metrics.

use serde::{Deserialize, Serialize};

/// Counts of executions since the last [`take_stats`](super::Executor::take_stats).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ExecutorStats {
    /// Executions, cells of sessions included.
    pub executions: u64,
    /// Calls answered without an execution, because the same code had run.
    pub remembered: u64,
    /// Executions that hit a time limit.
    pub timeouts: u64,
    /// Executions that hit the memory limit.
    pub out_of_memory: u64,
    /// Executions that were killed.
    pub killed: u64,
    /// Faults of the executor, those that a retry repaired included.
    pub faults: u64,
    /// CPU time of all executions, in milliseconds.
    pub cpu_ms: f64,
    /// Median wall time of an execution, in milliseconds.
    pub wall_ms_p50: f64,
    /// 99th percentile of the wall time, in milliseconds.
    pub wall_ms_p99: f64,
    /// Median wait for a free worker, in milliseconds. It isn't charged to the code.
    pub queue_ms_p50: f64,
    /// 99th percentile of the wait, in milliseconds.
    pub queue_ms_p99: f64,
}
