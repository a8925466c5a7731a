//! Defines what the settings of an environment do: they open it.

use turnwise_runfile::Conflict;
use turnwise_tools::executor::{ExecutorConfig, PythonConfig};

use crate::env::{Env, EnvError};

/// Configures an environment that a run file can choose.
pub trait EnvSettings {
    /// Opens the environment. `executor` runs the calls, and the programs that judge answers.
    ///
    /// # Errors
    /// If data can't be read, settings make no sense, the sandbox doesn't start, or the tool is a Python
    /// program that the executor can't run.
    fn open(&self, executor: &ExecutorConfig) -> Result<Box<dyn Env>, EnvError>;

    /// Returns keys whose values contradict each other. Each value is in its range.
    fn conflict(&self) -> Option<Conflict> {
        None
    }
}

/// Returns the key of a command that names no program. `example` is one that does.
pub(crate) fn no_program(key: &str, command: &[String], example: &[&str]) -> Option<Conflict> {
    let is_none = command.first().is_none_or(String::is_empty);
    is_none.then(|| Conflict::new(key, format!("names no program; expected for example {example:?}")))
}

const NO_CPYTHON: &str = "the tool is a Python program that the embedded interpreter can't run\n  \
                          hint: leave out rollout.executor.monty, or choose another environment";

/// Returns the settings of CPython, for an environment whose tool or judge needs `ast` or `exec`.
///
/// # Errors
/// If the executor is the embedded interpreter, which has neither.
pub(crate) fn cpython<'e>(
    env: &'static str,
    executor: &'e ExecutorConfig,
) -> Result<&'e PythonConfig, EnvError> {
    match executor {
        ExecutorConfig::Python(config) => Ok(config),
        ExecutorConfig::Monty(_) => Err(EnvError::Config { env, message: NO_CPYTHON.into() }),
    }
}
