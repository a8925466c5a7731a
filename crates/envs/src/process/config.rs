//! Reads the settings of a process: `[env.process]`.

use serde::{Deserialize, Serialize};
use turnwise_runfile::{Conflict, Seconds, Within};

use crate::settings::no_program;

/// Configures an environment that runs in a separate process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessConfig {
    /// The command and its arguments. It has to end when its stdin does.
    pub command: Vec<String>,
    /// Number of processes. Sessions are distributed over them.
    #[serde(default = "workers", deserialize_with = "Within::<1, 256>::read")]
    pub workers: usize,
    /// Maximum number of sessions of a process at a time. Other trajectories wait. 1 suits an environment
    /// with global state.
    #[serde(default = "at_once", deserialize_with = "Within::<1, 4_096>::read")]
    pub at_once: usize,
    /// Seconds for one answer.
    #[serde(default = "timeout_seconds", deserialize_with = "Seconds::read")]
    pub timeout_seconds: f64,
}

fn workers() -> usize {
    1
}

fn at_once() -> usize {
    256
}

fn timeout_seconds() -> f64 {
    30.0
}

impl ProcessConfig {
    /// Returns the usual settings of a command.
    pub fn of(command: Vec<String>) -> Self {
        Self { command, workers: workers(), at_once: at_once(), timeout_seconds: timeout_seconds() }
    }

    /// Returns the key of a command that names no program.
    pub(crate) fn conflict(&self) -> Option<Conflict> {
        no_program("command", &self.command, &["python3", "my_env.py"])
    }
}
