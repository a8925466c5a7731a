//! A line of `times.jsonl`.

use serde::{Deserialize, Serialize};

/// Holds the time and memory of a step.
///
/// These numbers differ between two runs of the same seed. Memory also differs between a run that was stopped
/// and one that was not, because it ends with the process.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StepTimes {
    /// The step, counted from 0.
    pub step: usize,
    /// Wall time of the rollouts, in seconds.
    pub time_rollout: f64,
    /// Wall time from rewards to advantages, in seconds.
    pub time_score: f64,
    /// Wall time of the updates, in seconds.
    pub time_train: f64,
    /// Wall time of exchanging gradients and weights with other ranks, in seconds, with the wait for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_exchange: Option<f64>,
    /// Processor time of the rollouts over all threads, in seconds, without that of tools.
    pub cpu_rollout: Option<f64>,
    /// Processor time of the updates over all threads, in seconds.
    pub cpu_train: Option<f64>,
    /// Peak resident memory of the process during the rollouts, in bytes.
    pub peak_rollout: Option<u64>,
    /// Peak resident memory during scoring and updates, in bytes.
    pub peak_train: Option<u64>,
    /// Calls that ran.
    pub tool_executions: u64,
    /// Calls that were answered from memory.
    pub tool_remembered: u64,
    /// Processor time of all calls, in seconds.
    pub time_tool_cpu: f64,
    /// Median wall time of a call, in seconds.
    pub time_tool_p50: f64,
    /// Wall time that 99 of 100 calls didn't exceed, in seconds.
    pub time_tool_p99: f64,
    /// Median wait for a worker, in seconds.
    pub time_tool_queue_p50: f64,
    /// Wait that 99 of 100 calls didn't exceed, in seconds.
    pub time_tool_queue_p99: f64,
    /// Wall time of every call in milliseconds, in the order of the rollouts.
    pub call_wall_ms: Vec<f64>,
}
