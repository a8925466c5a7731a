//! Runs an embedded Python (the crate `monty`) in worker processes, for machines without Python and for tests
//! that must give the same bits everywhere.
//!
//! A worker is this program itself, started again: [`serve_if_asked`] turns it into one. The interpreter
//! offers code no file, socket or process, and on Linux the worker is also locked up. Code sees a part of the
//! language: no generators, no inheritance, few modules.

mod lock;
mod message;
mod pool;
mod watch;
mod worker;

use std::sync::Arc;
use std::time::Instant;

use turnwise_trajectory::{OutputStatus, ToolOutput};

pub use worker::serve_if_asked;

use super::limits::would_repeat;
use super::monty_config::MontyConfig;
use super::{CodeSession, Executor, ExecutorError, ExecutorFault, ExecutorInfo, ExecutorStats, session_over};
use pool::{Lost, Pool, Worker, worker_count};

/// The executor's name in configs and messages.
const NAME: &str = "monty";

/// Runs code with the embedded interpreter, in worker processes.
#[derive(Debug)]
pub struct MontyExecutor {
    pool: Arc<Pool>,
}

impl MontyExecutor {
    /// Starts the first worker.
    ///
    /// # Errors
    /// It fails if a limit is out of range, or if the program doesn't serve as a worker.
    pub fn new(config: MontyConfig) -> Result<Self, ExecutorError> {
        Ok(Self { pool: Arc::new(Pool::start(config)?) })
    }
}

impl Executor for MontyExecutor {
    fn run(&self, code: &str) -> Result<ToolOutput, ExecutorFault> {
        let once = || {
            let mut turn = self.pool.slots.take();
            let mut worker = self.pool.worker(turn.worker.take())?;
            let started = Instant::now();
            let (result, alive) = worker.run(code, true, self.pool.config());
            turn.worker = alive.then_some(worker);
            self.pool.record(result, started, &turn)
        };
        once().or_else(|_| once())
    }

    fn session(&self) -> Result<Box<dyn CodeSession>, ExecutorFault> {
        let worker = self.pool.worker(None).or_else(|_| self.pool.worker(None))?;
        Ok(Box::new(MontySession { pool: Arc::clone(&self.pool), worker: Some(worker) }))
    }

    fn describe(&self) -> ExecutorInfo {
        self.pool.describe()
    }

    fn at_once(&self) -> usize {
        worker_count(self.pool.config())
    }

    fn would_repeat(&self, output: &ToolOutput) -> bool {
        let config = self.pool.config();
        would_repeat(output, config.cpu_seconds, config.wall_seconds)
    }

    fn take_stats(&self) -> ExecutorStats {
        self.pool.take_stats()
    }
}

/// Session in a worker that keeps its state.
#[derive(Debug)]
struct MontySession {
    pool: Arc<Pool>,
    worker: Option<Worker>,
}

impl CodeSession for MontySession {
    fn run(&mut self, code: &str) -> Result<ToolOutput, ExecutorFault> {
        let Some(worker) = self.worker.as_mut() else { return Ok(session_over()) };
        let turn = self.pool.slots.take();
        let started = Instant::now();
        let (result, alive) = worker.run(code, false, self.pool.config());
        if !alive {
            self.worker = None;
        }
        self.pool.record(result, started, &turn)
    }
}

/// Returns the outcome of a cell whose worker was lost.
fn lost(how: Lost, config: &MontyConfig) -> Result<ToolOutput, ExecutorFault> {
    let (status, line) = match how {
        Lost::Cpu => (OutputStatus::Timeout, cpu_line(config.cpu_seconds)),
        Lost::Wall => {
            (OutputStatus::Timeout, format!("Timed out: more than {} s of wall time", config.wall_seconds))
        }
        Lost::Memory => (OutputStatus::OutOfMemory, memory_line(config.memory_mib)),
        Lost::Crash(line) => (OutputStatus::Killed, format!("Killed: {line}")),
        Lost::Ours(line) => return Err(fault("a worker was lost", line)),
    };
    Ok(ToolOutput { error: Some(line), ..ToolOutput::of(status) })
}

fn cpu_line(seconds: f64) -> String {
    format!("Timed out: more than {seconds} s of CPU time")
}

fn memory_line(mib: u64) -> String {
    format!("MemoryError: more than {mib} MiB")
}

/// Returns a fault of this executor.
fn fault(doing: &str, error: impl std::fmt::Display) -> ExecutorFault {
    ExecutorFault { backend: NAME, message: format!("{doing}: {error}") }
}
