//! Supervises worker processes and reads their answers.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use turnwise_trajectory::ToolOutput;

use super::message::{Answer, Asked, CPU_EXIT, Hello, MEMORY_EXIT, Settings};
use super::worker::WORKER;
use super::{MontyConfig, NAME, cpu_line, fault, lost, memory_line};
use crate::executor::limits::{check_limits, cores};
use crate::executor::recorder::Recorder;
use crate::executor::slots::{Slot, Slots};
use crate::executor::{ExecutorError, ExecutorFault, ExecutorInfo, ExecutorStats, frames};

/// Time beyond the wall limit in which an answer may arrive.
const GRACE: Duration = Duration::from_millis(500);
/// Time in which a worker must start.
const START: Duration = Duration::from_secs(30);

/// Holds up to one worker per execution that may run at a time. Each is started when it's first needed.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) slots: Slots<Worker>,
    config: MontyConfig,
    hello: Hello,
    recorder: Recorder,
}

/// Returns how many executions run at a time.
pub(super) fn worker_count(config: &MontyConfig) -> usize {
    config.workers.unwrap_or_else(cores)
}

impl Pool {
    pub(super) fn start(config: MontyConfig) -> Result<Self, ExecutorError> {
        let count = worker_count(&config);
        let (cpu, wall) = (config.cpu_seconds, config.wall_seconds);
        check_limits(NAME, cpu, wall, config.memory_mib, config.output_bytes, count)?;
        let refuse = |message: String| ExecutorError {
            backend: NAME,
            message,
            hint: "a worker is this program started again: its `main` must begin with `serve_monty_if_asked`"
                .into(),
        };
        if std::env::var_os(WORKER).is_some() {
            return Err(refuse("a worker can't have workers".into()));
        }
        let (worker, hello) = Worker::start(&config).map_err(|error| refuse(error.to_string()))?;
        Ok(Self { slots: Slots::new(count, worker), config, hello, recorder: Recorder::default() })
    }

    pub(super) fn config(&self) -> &MontyConfig {
        &self.config
    }

    /// Returns the idle worker, or starts one.
    pub(super) fn worker(&self, there: Option<Worker>) -> Result<Worker, ExecutorFault> {
        let started = there.map_or_else(
            || {
                let (worker, hello) = Worker::start(&self.config)?;
                if hello == self.hello { Ok(worker) } else { Err(io::Error::other(format!("has {hello:?}"))) }
            },
            Ok,
        );
        started.map_err(|error| {
            self.recorder.failed();
            fault("starting a worker", error)
        })
    }

    /// Counts the result of an execution.
    pub(super) fn record(
        &self,
        result: Result<ToolOutput, Lost>,
        started: Instant,
        turn: &Slot<'_, Worker>,
    ) -> Result<ToolOutput, ExecutorFault> {
        let wall_ms = started.elapsed().as_secs_f64() * 1e3;
        let result = result.or_else(|how| lost(how, &self.config));
        let result = result.map(|output| ToolOutput { wall_ms, ..output });
        match &result {
            Ok(output) => self.recorder.ran(output, turn.queued),
            Err(_) => self.recorder.failed(),
        }
        result
    }

    pub(super) fn describe(&self) -> ExecutorInfo {
        ExecutorInfo {
            backend: NAME.into(),
            python_version: Some(self.hello.version.clone()),
            level: Some(self.hello.level),
            isolation: self.hello.holds.clone(),
            missing: self.hello.missing.clone(),
        }
    }

    pub(super) fn take_stats(&self) -> ExecutorStats {
        self.recorder.take()
    }
}

/// Says why an answer is missing.
#[derive(Debug)]
pub(super) enum Lost {
    Cpu,
    Wall,
    Memory,
    /// The interpreter panicked over the code.
    Crash(String),
    /// The failure can't be the code's doing.
    Ours(String),
}

/// Holds a running worker, which is killed when dropped.
#[derive(Debug)]
pub(super) struct Worker {
    process: Child,
    channel: UnixStream,
}

impl Worker {
    fn start(config: &MontyConfig) -> io::Result<(Self, Hello)> {
        let (channel, theirs) = UnixStream::pair()?;
        let program = config.program.clone().map_or_else(std::env::current_exe, Ok)?;
        let process = Command::new(program)
            .env_clear()
            .env(WORKER, "1")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let worker = Self { process, channel };
        worker.channel.set_read_timeout(Some(START))?;
        worker.channel.set_write_timeout(Some(START))?;
        let hello = worker
            .send(&Settings::new(config))
            .and_then(|()| worker.receive(1 << 16))
            .map_err(|error| io::Error::other(format!("the program doesn't serve as a worker: {error}")))?;
        worker.channel.set_read_timeout(Some(Duration::from_secs_f64(config.wall_seconds) + GRACE))?;
        Ok((worker, hello))
    }

    fn send(&self, message: &impl serde::Serialize) -> io::Result<()> {
        frames::send(&self.channel, &serde_json::to_vec(message).map_err(io::Error::other)?)
    }

    fn receive<T: serde::de::DeserializeOwned>(&self, max: usize) -> io::Result<T> {
        serde_json::from_slice(&frames::receive(&self.channel, max)?).map_err(io::Error::other)
    }

    /// Runs one cell, in a fresh state or in that of the last one. Returns false if the worker has ended.
    pub(super) fn run(
        &mut self,
        code: &str,
        fresh: bool,
        config: &MontyConfig,
    ) -> (Result<ToolOutput, Lost>, bool) {
        if let Err(error) = self.send(&Asked { code: code.into(), fresh }) {
            return (Err(Lost::Ours(error.to_string())), false);
        }
        // JSON may write a character of four bytes as twelve. Value and error are bounded as the output is.
        match self.receive(config.output_bytes.saturating_mul(40) + (1 << 16)) {
            Ok(answer) => (Ok(output(answer, config)), true),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                (Err(Lost::Wall), false)
            }
            Err(_) => (Err(self.last_words()), false),
        }
    }

    /// Returns how a worker that closed its channel ended.
    fn last_words(&mut self) -> Lost {
        let mut said = Vec::new();
        let status = self.process.wait();
        if let Some(stderr) = self.process.stderr.take() {
            let _ = stderr.take(1 << 16).read_to_end(&mut said);
        }
        let status = match status {
            Ok(status) => status,
            Err(error) => return Lost::Ours(error.to_string()),
        };
        judge(status, &String::from_utf8_lossy(&said))
    }
}

fn judge(status: ExitStatus, said: &str) -> Lost {
    let last = || said.trim_end().lines().last().map_or_else(|| status.to_string(), str::to_string);
    match (status.code(), status.signal()) {
        (Some(CPU_EXIT), _) => Lost::Cpu,
        (Some(MEMORY_EXIT), _) => Lost::Memory,
        // Rust's message when the system refuses memory.
        _ if said.contains("memory allocation of") => Lost::Memory,
        // Code can't send signals, so another process did.
        (_, Some(9 | 15 | 2 | 1)) | (Some(0), _) => Lost::Ours(status.to_string()),
        _ => Lost::Crash(last()),
    }
}

fn output(answer: Answer, config: &MontyConfig) -> ToolOutput {
    use turnwise_trajectory::OutputStatus::{OutOfMemory, Timeout};
    let mut output = ToolOutput { cpu_ms: answer.cpu_ms, ..answer.output };
    match output.status {
        Timeout => output.error = Some(cpu_line(config.cpu_seconds)),
        OutOfMemory => output.error = Some(memory_line(config.memory_mib)),
        _ => {}
    }
    output
}

impl Drop for Worker {
    fn drop(&mut self) {
        // An error says that the process has gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
