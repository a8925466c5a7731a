//! CPython in a child process per execution.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use turnwise_trajectory::{OutputStatus, ToolOutput};

use super::{Executor, ExecutorError, ExecutorFault, ExecutorInfo};

/// Limits and choices of the [`PythonExecutor`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PythonConfig {
    /// CPU seconds per execution: the limit that counts, because it doesn't depend on the machine's load.
    pub cpu_seconds: f64,
    /// Wall seconds per execution: a generous backstop for code that sleeps.
    pub wall_seconds: f64,
    /// MiB of memory that the code may add to the interpreter's own.
    pub memory_mib: u64,
    /// Bytes of output kept.
    pub output_bytes: usize,
}

impl Default for PythonConfig {
    fn default() -> Self {
        Self { cpu_seconds: 2.0, wall_seconds: 10.0, memory_mib: 512, output_bytes: 16 << 10 }
    }
}

/// Runs code with the machine's `python3`.
#[derive(Debug)]
pub struct PythonExecutor {
    config: PythonConfig,
    version: String,
}

impl PythonExecutor {
    /// Finds the interpreter.
    pub fn new(config: PythonConfig) -> Result<Self, ExecutorError> {
        let output =
            Command::new("python3").args(["-I", "-S", "-V"]).output().map_err(|error| ExecutorError {
                backend: "python",
                message: format!("cannot start python3: {error}"),
                hint: "install Python 3.9 or later and put python3 on PATH".into(),
            })?;
        let version =
            String::from_utf8_lossy(&output.stdout).trim().trim_start_matches("Python ").to_string();
        Ok(Self { config, version })
    }

    fn spawn(&self, code: &str) -> std::io::Result<ToolOutput> {
        let started = Instant::now();
        let limit = format!("ulimit -t {} && exec python3 -I -S -", self.config.cpu_seconds.ceil());
        let mut child = Command::new("sh")
            .args(["-c", &limit])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child.stdin.take().expect("stdin is piped").write_all(code.as_bytes())?;
        let output = child.wait_with_output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        let error = error.lines().last().map(str::to_string);
        let status = match output.status.code() {
            Some(0) => OutputStatus::Ok,
            Some(_) => OutputStatus::Error,
            None => OutputStatus::Killed,
        };
        let mut stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let truncated = stdout.len() > self.config.output_bytes;
        stdout.truncate(stdout.floor_char_boundary(self.config.output_bytes));
        let wall_ms = Duration::as_secs_f64(&started.elapsed()) * 1e3;
        Ok(ToolOutput { status, stdout, value: None, error, truncated, wall_ms, cpu_ms: 0.0 })
    }
}

impl Executor for PythonExecutor {
    fn run(&self, code: &str) -> Result<ToolOutput, ExecutorFault> {
        self.spawn(code).map_err(|error| ExecutorFault { backend: "python", message: error.to_string() })
    }

    fn describe(&self) -> ExecutorInfo {
        ExecutorInfo {
            backend: "python".into(),
            python_version: Some(self.version.clone()),
            isolation: vec![],
            missing: vec!["all: not built yet".into()],
        }
    }
}
