//! Settings of the embedded executor.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use turnwise_runfile::Seconds;

#[cfg(feature = "monty")]
use crate::executor::MontyExecutor;
use crate::executor::limits::{MemoryMib, OutputBytes, Workers};
use crate::executor::{Executor, ExecutorError, ExecutorSettings};

/// Configures the embedded interpreter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MontyConfig {
    /// CPU seconds per execution. They don't depend on the machine's load.
    #[serde(deserialize_with = "Seconds::read")]
    pub cpu_seconds: f64,
    /// Wall-clock seconds per execution.
    #[serde(deserialize_with = "Seconds::read")]
    pub wall_seconds: f64,
    /// Memory in MiB that the code may take beyond the interpreter's.
    #[serde(deserialize_with = "MemoryMib::read")]
    pub memory_mib: u64,
    /// Maximum bytes of output. A longer one loses its middle.
    #[serde(deserialize_with = "OutputBytes::read")]
    pub output_bytes: usize,
    /// Maximum number of executions at a time; unset, one per core.
    #[serde(deserialize_with = "Workers::read")]
    pub workers: Option<usize>,
    /// The program to run as a worker; unset, this one. Another one must call `serve_monty_if_asked` first.
    pub program: Option<PathBuf>,
}

impl Default for MontyConfig {
    fn default() -> Self {
        Self {
            cpu_seconds: 2.0,
            wall_seconds: 10.0,
            memory_mib: 512,
            output_bytes: 16 << 10,
            workers: None,
            program: None,
        }
    }
}

impl ExecutorSettings for MontyConfig {
    #[cfg(feature = "monty")]
    fn start(&self) -> Result<Box<dyn Executor>, ExecutorError> {
        Ok(Box::new(MontyExecutor::new(self.clone())?))
    }

    #[cfg(not(feature = "monty"))]
    fn start(&self) -> Result<Box<dyn Executor>, ExecutorError> {
        Err(ExecutorError {
            backend: "monty",
            message: "this program was built without it".into(),
            hint: "build it with `--features monty`, or use the executor python".into(),
        })
    }
}
