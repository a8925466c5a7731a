//! Defines the messages between supervisor and worker, and the worker's exit statuses.

use serde::{Deserialize, Serialize};
use turnwise_trajectory::ToolOutput;

use crate::executor::{Isolation, MontyConfig};

/// Exit statuses that the supervisor knows.
pub(super) const CPU_EXIT: i32 = 71;
pub(super) const MEMORY_EXIT: i32 = monty_types::OOM_EXIT_CODE;

/// Tells a worker its limits at its start.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) cpu_seconds: f64,
    pub(super) memory_bytes: u64,
    pub(super) output_bytes: usize,
}

impl Settings {
    pub(super) fn new(config: &MontyConfig) -> Self {
        Self {
            cpu_seconds: config.cpu_seconds,
            memory_bytes: config.memory_mib << 20,
            output_bytes: config.output_bytes,
        }
    }
}

/// Describes a worker, which sends it at its start.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) version: String,
    pub(super) level: Isolation,
    pub(super) holds: Vec<String>,
    pub(super) missing: Vec<String>,
}

/// Asks for a cell to be run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) code: String,
    /// Whether the state of earlier cells is dropped.
    pub(super) fresh: bool,
}

/// Holds the outcome of a cell. The supervisor adds the wall time, and the lines that name its limits.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) output: ToolOutput,
    /// The cell's CPU time, which serialised outputs leave out.
    pub(super) cpu_ms: f64,
}
