//! Settings of the Python executor.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use turnwise_runfile::{Seconds, Within};

use super::{NAME, PythonExecutor};
use crate::executor::limits::{MemoryMib, OutputBytes, Workers, check_limits, cores};
use crate::executor::{Executor, ExecutorError, ExecutorSettings};

/// Configures the Python sandbox: its limits, its interpreter and its isolation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PythonConfig {
    /// CPU seconds per execution. They don't depend on the machine's load.
    #[serde(deserialize_with = "Seconds::read")]
    pub cpu_seconds: f64,
    /// Wall-clock seconds per execution, which end code that sleeps.
    #[serde(deserialize_with = "Seconds::read")]
    pub wall_seconds: f64,
    /// Memory in MiB that the code may take beyond the interpreter's.
    #[serde(deserialize_with = "MemoryMib::read")]
    pub memory_mib: u64,
    /// Size in MiB of a private working directory, which is removed when the code ends. With 0 code can't
    /// write files. It doesn't count towards `memory_mib`.
    #[serde(deserialize_with = "Within::<0, 16_777_216>::read")]
    pub scratch_mib: u64,
    /// Maximum bytes of output. A longer one loses its middle.
    #[serde(deserialize_with = "OutputBytes::read")]
    pub output_bytes: usize,
    /// The interpreter: a name on `PATH` or a path; unset, the first usable `python3` on `PATH`.
    pub interpreter: Option<String>,
    /// Modules imported once, before any execution, e.g. `sympy`.
    pub imports: Vec<String>,
    /// Code run once, after the imports, to warm up what they do lazily.
    pub warm_up: Vec<String>,
    /// Files and folders that the code may read besides the standard library and site-packages. An editable
    /// install isn't readable unless it's named here.
    pub readable: Vec<PathBuf>,
    /// Maximum number of executions at a time; unset, one per core.
    #[serde(deserialize_with = "Workers::read")]
    pub workers: Option<usize>,
    /// Least level of isolation. Each level includes those before it. On a system that can't give it, the run
    /// doesn't start.
    pub isolation: Isolation,
}

/// Names a level of isolation. Each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Limits of time and memory only. Run nothing that isn't trusted.
    None,
    /// Code starts no processes, opens no sockets, sends no signals and writes no files (seccomp).
    Syscalls,
    /// Code reads the interpreter's files only, and those in `readable` (landlock).
    Files,
    /// Code has separate namespaces of users, processes, network, mounts and IPC.
    Full,
}

impl Isolation {
    /// Describes in a line what code can't do at this level.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::None => "limits of time and memory only; run nothing that isn't trusted",
            Self::Syscalls => "no processes, sockets, signals or writing; files can be read",
            Self::Files => "and no reading except of the interpreter's files",
            Self::Full => "and separate users, processes, network and mounts",
        }
    }
}

impl std::fmt::Display for Isolation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Syscalls => "syscalls",
            Self::Files => "files",
            Self::Full => "full",
        })
    }
}

impl Default for PythonConfig {
    fn default() -> Self {
        Self {
            cpu_seconds: 2.0,
            wall_seconds: 10.0,
            memory_mib: 512,
            scratch_mib: 0,
            output_bytes: 16 << 10,
            interpreter: None,
            imports: Vec::new(),
            warm_up: Vec::new(),
            readable: Vec::new(),
            workers: None,
            isolation: Isolation::Files,
        }
    }
}

impl PythonConfig {
    /// Returns limits of this number of CPU seconds, and of five times as many wall seconds.
    #[must_use]
    pub fn with_timeout(self, seconds: f64) -> Self {
        Self { cpu_seconds: seconds, wall_seconds: seconds * 5.0, ..self }
    }

    /// Returns how many executions run at a time.
    pub(super) fn worker_count(&self) -> usize {
        self.workers.unwrap_or_else(cores)
    }

    /// Checks limits and paths that no reader of a file has checked.
    pub(super) fn check(&self) -> Result<(), ExecutorError> {
        let (cpu, wall, workers) = (self.cpu_seconds, self.wall_seconds, self.worker_count());
        check_limits(NAME, cpu, wall, self.memory_mib, self.output_bytes, workers)?;
        if self.scratch_mib > 1 << 30 {
            return Err(refuse("scratch_mib", &self.scratch_mib.to_string(), "is out of range"));
        }
        // A missing path is probably a mistake. Without this check, code would fail for a reason outside of
        // it.
        match self.readable.iter().find(|path| !path.is_absolute() || !path.exists()) {
            Some(path) => {
                Err(refuse("readable", &path.display().to_string(), "is no absolute path of what is there"))
            }
            None => Ok(()),
        }
    }
}

impl ExecutorSettings for PythonConfig {
    fn start(&self) -> Result<Box<dyn Executor>, ExecutorError> {
        Ok(Box::new(PythonExecutor::new(self.clone())?))
    }
}

fn refuse(key: &str, value: &str, what: &str) -> ExecutorError {
    ExecutorError {
        backend: NAME,
        message: format!("{key} = {value} {what}"),
        hint: format!("leave out {key} for the default"),
    }
}
