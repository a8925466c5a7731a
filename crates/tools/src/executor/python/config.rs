//! Limits and choices of the Python executor.

use serde::{Deserialize, Serialize};

use super::NAME;
use crate::executor::ExecutorError;

/// Limits and choices of the [`PythonExecutor`](super::PythonExecutor).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PythonConfig {
    /// CPU seconds per execution: the limit that counts, because it doesn't depend on the machine's load.
    pub cpu_seconds: f64,
    /// Wall seconds per execution: a generous backstop for code that sleeps.
    pub wall_seconds: f64,
    /// MiB of memory that the code may add to the interpreter's own.
    pub memory_mib: u64,
    /// Bytes of output kept, half from its start and half from its end.
    pub output_bytes: usize,
    /// The interpreter, a name on `PATH` or a path. Without it: the first `python3` on `PATH` that is usable.
    pub interpreter: Option<String>,
    /// Modules imported once, before any execution, e.g. `sympy`.
    pub imports: Vec<String>,
    /// Code run once, after the imports, to warm up what they do lazily.
    pub warm_up: Vec<String>,
    /// How many executions run at a time; one per core without it.
    pub workers: Option<usize>,
    /// The least isolation to run with. With less, the executor doesn't start.
    pub isolation: Isolation,
}

/// How much of the machine the code is kept from. Each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Limits only.
    None,
    /// No processes, sockets, signals or writing of files (seccomp).
    Syscalls,
    /// No reading of files but the interpreter's own (landlock).
    Files,
    /// Namespaces of its own: users, processes, network, mounts, IPC.
    Full,
}

impl Default for PythonConfig {
    fn default() -> Self {
        Self {
            cpu_seconds: 2.0,
            wall_seconds: 10.0,
            memory_mib: 512,
            output_bytes: 16 << 10,
            interpreter: None,
            imports: Vec::new(),
            warm_up: Vec::new(),
            workers: None,
            isolation: Isolation::Files,
        }
    }
}

impl PythonConfig {
    /// A limit of so many CPU seconds, and of five times as many wall seconds.
    #[must_use]
    pub fn with_timeout(self, seconds: f64) -> Self {
        Self { cpu_seconds: seconds, wall_seconds: seconds * 5.0, ..self }
    }

    /// How many executions run at a time.
    pub(super) fn worker_count(&self) -> usize {
        self.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// Refuses limits that nothing could run under.
    pub(super) fn check(&self) -> Result<(), ExecutorError> {
        // A thousand hours is beyond any use, and within what timers can hold.
        let seconds = |name, value: f64| (name, value.to_string(), value > 0.0 && value <= 3.6e6);
        let checks = [
            seconds("cpu_seconds", self.cpu_seconds),
            seconds("wall_seconds", self.wall_seconds),
            ("memory_mib", self.memory_mib.to_string(), (1..=1 << 30).contains(&self.memory_mib)),
            ("output_bytes", self.output_bytes.to_string(), (1..=1 << 28).contains(&self.output_bytes)),
            ("workers", self.worker_count().to_string(), (1..=4096).contains(&self.worker_count())),
        ];
        match checks.into_iter().find(|(_, _, good)| !good) {
            None => Ok(()),
            Some((name, value, _)) => Err(ExecutorError {
                backend: NAME,
                message: format!("{name} = {value} is out of range"),
                hint: format!("leave out {name} for the default"),
            }),
        }
    }
}
