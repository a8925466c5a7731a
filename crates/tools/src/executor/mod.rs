//! Executors run programs: one file per executor, chosen by name.

#[cfg(any(target_os = "linux", feature = "monty"))]
mod capture;
#[cfg(any(target_os = "linux", feature = "monty"))]
mod frames;
mod limits;
mod memory;
#[cfg(feature = "monty")]
mod monty;
#[path = "monty/config.rs"]
mod monty_config;
#[cfg(target_os = "linux")]
mod python;
#[cfg(not(target_os = "linux"))]
#[path = "python/elsewhere.rs"]
mod python;
#[cfg(any(target_os = "linux", feature = "monty"))]
mod recorder;
mod remembering;
mod scripted;
#[cfg(target_os = "linux")]
mod seccomp;
#[cfg(any(target_os = "linux", feature = "monty"))]
mod slots;
mod stats;

use serde::{Deserialize, Serialize};
use turnwise_runfile::choice;
use turnwise_trajectory::{OutputStatus, ToolOutput};

pub use capture::bounded;
#[cfg(feature = "monty")]
pub use monty::{MontyExecutor, serve_if_asked as serve_monty_if_asked};
pub use monty_config::MontyConfig;
pub use python::{Isolation, PythonConfig, PythonExecutor};
pub use remembering::Remembering;
pub use scripted::{Echo, Scripted};
pub use stats::ExecutorStats;

/// Runs code. Everything that the code does is data in [`ToolOutput`], and an [`ExecutorFault`] is a failure
/// of the executor.
///
/// `run` may be called from many threads at once, and each call runs in a fresh interpreter state.
pub trait Executor: Send + Sync {
    /// Runs `code` in a fresh state under the executor's limits, and always returns.
    fn run(&self, code: &str) -> Result<ToolOutput, ExecutorFault>;

    /// Opens a session, whose state lives on between cells until it is dropped or a cell breaks it.
    fn session(&self) -> Result<Box<dyn CodeSession>, ExecutorFault>;

    /// Describes the executor and the isolation that it achieved, for the run's record.
    fn describe(&self) -> ExecutorInfo;

    /// Returns how many executions run at a time. Further ones wait.
    fn at_once(&self) -> usize {
        1
    }

    /// Returns whether an output depends on the code alone, so that the same code would give it again. It
    /// doesn't if the code hit a limit, was killed, or took as long as a limit allows.
    fn would_repeat(&self, output: &ToolOutput) -> bool {
        matches!(output.status, OutputStatus::Ok | OutputStatus::Error)
    }

    /// Returns the counts since the last call. They are zero for an executor that doesn't count.
    fn take_stats(&self) -> ExecutorStats {
        ExecutorStats::default()
    }
}

/// Runs code piece by piece in one state.
pub trait CodeSession: Send {
    /// Runs one cell under the executor's limits, and always returns.
    ///
    /// A limit that raises inside the code leaves the state alive. After a cell that had to be killed, every
    /// further one is [`Rejected`](turnwise_trajectory::OutputStatus::Rejected).
    fn run(&mut self, code: &str) -> Result<ToolOutput, ExecutorFault>;
}

/// Describes an executor in the run's record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecutorInfo {
    /// The executor's name, for example `python`.
    pub backend: String,
    /// Version of its Python, for example `3.11.2`. Absent if it runs none.
    pub python_version: Option<String>,
    /// The isolation level that the layers reach. Absent for an executor that runs no code.
    pub level: Option<Isolation>,
    /// The layers of isolation that hold, for example `seccomp`, in a fixed order.
    pub isolation: Vec<String>,
    /// One line per missing layer, with the reason.
    pub missing: Vec<String>,
}

/// One line for a log: the executor, its isolation level, and its missing layers.
impl std::fmt::Display for ExecutorInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.backend)?;
        if let Some(version) = &self.python_version {
            write!(f, " {version}")?;
        }
        if let Some(level) = self.level {
            write!(f, ", isolation {level}")?;
        }
        if self.missing.is_empty() { Ok(()) } else { write!(f, ", without {}", self.missing.join("; ")) }
    }
}

/// Describes a failure of the executor. It is never shown to the model and never costs it reward.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("executor {backend}: {message}")]
pub struct ExecutorFault {
    /// The executor's name.
    pub backend: &'static str,
    /// The failure in words.
    pub message: String,
}

/// Says why an executor can't be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("executor {backend}: {message}; hint: {hint}")]
pub struct ExecutorError {
    /// The executor's name.
    pub backend: &'static str,
    /// The failure, with place and value.
    pub message: String,
    /// Advice for the user.
    pub hint: String,
}

choice! {
    /// Chooses the interpreter that runs code.
    pub enum ExecutorConfig {
        /// CPython in sandboxed processes.
        "python" => Python(PythonConfig),
        /// The embedded interpreter in worker processes. It needs a binary with the cargo feature `monty`.
        "monty" => Monty(MontyConfig),
    }
    /// Returns the settings of the chosen executor.
    pub fn settings(&self) -> &dyn ExecutorSettings;
}

impl ExecutorConfig {
    /// Starts the executor.
    ///
    /// # Errors
    /// As [`ExecutorSettings::start`].
    pub fn build(&self) -> Result<Box<dyn Executor>, ExecutorError> {
        self.settings().start()
    }
}

/// Configures an executor that a run file can choose.
pub trait ExecutorSettings {
    /// Starts the executor.
    ///
    /// # Errors
    /// If it can't run on this machine, or with these settings.
    fn start(&self) -> Result<Box<dyn Executor>, ExecutorError>;
}

/// Returns the output of a cell whose session an earlier cell has ended.
#[cfg(any(target_os = "linux", feature = "monty"))]
fn session_over() -> ToolOutput {
    let line = "Not run: an earlier cell ended this session".to_string();
    ToolOutput { error: Some(line), ..ToolOutput::of(OutputStatus::Rejected) }
}
