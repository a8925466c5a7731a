//! Refuses to start: the sandbox of the Python executor is made of parts of Linux.

#[path = "config.rs"]
mod config;

use turnwise_trajectory::ToolOutput;

pub use config::{Isolation, PythonConfig};

use super::{CodeSession, Executor, ExecutorError, ExecutorFault, ExecutorInfo};

const NAME: &str = "python";

/// Stands for the executor, which can't be built on this system. See [`PythonExecutor::new`].
#[derive(Debug)]
pub enum PythonExecutor {}

impl PythonExecutor {
    /// # Errors
    /// It always fails: this system isn't Linux.
    pub fn new(config: PythonConfig) -> Result<Self, ExecutorError> {
        config.check()?;
        Err(ExecutorError {
            backend: NAME,
            message: format!("the sandbox needs Linux, and this is {}", std::env::consts::OS),
            hint: "run in a Linux container or virtual machine".into(),
        })
    }
}

impl Executor for PythonExecutor {
    fn run(&self, _code: &str) -> Result<ToolOutput, ExecutorFault> {
        match *self {}
    }

    fn session(&self) -> Result<Box<dyn CodeSession>, ExecutorFault> {
        match *self {}
    }

    fn describe(&self) -> ExecutorInfo {
        match *self {}
    }
}
