//! What runs a call: one file per executor, chosen by name.

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
use turnwise_trajectory::{OutputStatus, ToolOutput};

pub use capture::bounded;
#[cfg(feature = "monty")]
pub use monty::{MontyExecutor, serve_if_asked as serve_monty_if_asked};
pub use monty_config::MontyConfig;
pub use python::{Isolation, PythonConfig, PythonExecutor};
pub use remembering::Remembering;
pub use scripted::{Echo, Scripted};
pub use stats::ExecutorStats;

/// Runs code. Whatever the code does is data in [`ToolOutput`]; an [`ExecutorFault`] is our own failure.
///
/// `run` may be called from many threads at once; each call runs in a fresh interpreter state.
pub trait Executor: Send + Sync {
    /// Runs `code` in a fresh state, under the executor's limits. Always comes back.
    fn run(&self, code: &str) -> Result<ToolOutput, ExecutorFault>;

    /// Opens a session: a state that lives on between cells. It ends when dropped, or by a cell that breaks it.
    fn session(&self) -> Result<Box<dyn Session>, ExecutorFault>;

    /// What this executor is and what it achieved, for the run's record.
    fn describe(&self) -> ExecutorInfo;

    /// How many executions it takes at a time; more of them wait.
    fn at_once(&self) -> usize {
        1
    }

    /// Whether an output is the code's own doing, so that the same code would give it again: not if it hit a limit, was
    /// killed or took as long as a limit allows.
    fn would_repeat(&self, output: &ToolOutput) -> bool {
        matches!(output.status, OutputStatus::Ok | OutputStatus::Error)
    }

    /// What ran since the last call of this; all zeros for an executor that doesn't count.
    fn take_stats(&self) -> ExecutorStats {
        ExecutorStats::default()
    }
}

/// Code run piece by piece in one state.
pub trait Session: Send {
    /// Runs one cell under the executor's limits. Always comes back. A limit that the code gives way to leaves the
    /// state alive; after a cell that had to be killed, every further one is
    /// [`Rejected`](turnwise_trajectory::OutputStatus::Rejected).
    fn run(&mut self, code: &str) -> Result<ToolOutput, ExecutorFault>;
}

/// What an executor is, written to the run's record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecutorInfo {
    /// The executor's name, e.g. `python`.
    pub backend: String,
    /// Version of the Python it runs, e.g. `3.11.2`; none if it runs none.
    pub python_version: Option<String>,
    /// What the layers amount to; none for an executor that runs no code.
    pub level: Option<Isolation>,
    /// The layers of isolation that hold, e.g. `seccomp`, in a fixed order.
    pub isolation: Vec<String>,
    /// One line per layer that is missing, with the reason.
    pub missing: Vec<String>,
}

/// One line for a log: what runs the calls, how well it's kept in, and which layers are missing.
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

/// Our own failure, not the model's: it must never be shown to the model nor cost it reward.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("executor {backend}: {message}")]
pub struct ExecutorFault {
    /// The executor's name.
    pub backend: &'static str,
    /// What failed.
    pub message: String,
}

/// An executor could not be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("executor {backend}: {message}; hint: {hint}")]
pub struct ExecutorError {
    /// The executor's name.
    pub backend: &'static str,
    /// What failed, with place and value.
    pub message: String,
    /// What the user can do.
    pub hint: String,
}

/// An executor as a config chooses it: `[executor.python]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ExecutorConfig {
    /// CPython in sandboxed children.
    Python(PythonConfig),
    /// The embedded interpreter in worker processes. Only binaries with the cargo feature `monty` have it.
    Monty(MontyConfig),
}

impl Default for ExecutorConfig {
    fn default() -> Self {
        Self::Python(PythonConfig::default())
    }
}

impl ExecutorConfig {
    /// Starts the executor.
    pub fn build(&self) -> Result<Box<dyn Executor>, ExecutorError> {
        match self {
            Self::Python(config) => Ok(Box::new(PythonExecutor::new(config.clone())?)),
            #[cfg(feature = "monty")]
            Self::Monty(config) => Ok(Box::new(MontyExecutor::new(config.clone())?)),
            #[cfg(not(feature = "monty"))]
            Self::Monty(_) => Err(ExecutorError {
                backend: "monty",
                message: "this program was built without it".into(),
                hint: "build it with `--features monty`, or use the executor python".into(),
            }),
        }
    }
}

/// The answer to a cell of a session that an earlier cell has ended.
#[cfg(any(target_os = "linux", feature = "monty"))]
fn session_over() -> ToolOutput {
    let line = "Not run: an earlier cell ended this session".to_string();
    ToolOutput { error: Some(line), ..ToolOutput::of(OutputStatus::Rejected) }
}
