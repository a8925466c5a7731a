//! Runs CPython in sandboxed children: a warm zygote per core, one locked-down fork per execution.
//!
//! ```text
//! supervisor (this process)        zygote (python3, one per worker)     child (one execution or session)
//!   finds python3, probes layers     not root, new namespaces             no capabilities, landlock, seccomp
//!   sends code, drains output        imports the library                  runs cells under soft limits
//!   watches clocks, kills, reaps     rlimits, no_new_privs, then forks    is the supervisor's own child
//! ```
//! Children inherit the zygote's state at no cost, so the zygote does as much as it can. It never runs model
//! code. A child's reports are advisory, because the code that it runs could forge them. Exit statuses,
//! signals, clocks and the bounds on output are measured by the supervisor.

mod ask;
mod budget;
mod child;
mod clocks;
mod config;
mod interpreter;
mod isolation;
mod keeper;
mod outcome;
mod pool;
mod self_test;
mod session;
mod start;
mod sys;
mod threads;
mod zygote;

use std::sync::Arc;

use turnwise_trajectory::ToolOutput;

pub use config::{Isolation, PythonConfig};

use super::limits::would_repeat;
use super::{CodeSession, Executor, ExecutorError, ExecutorFault, ExecutorInfo, ExecutorStats};
use pool::Pool;

/// The executor's name in configurations and messages.
const NAME: &str = "python";

/// Runs code with the machine's `python3`: a warm zygote per worker, one locked-down fork per execution.
#[derive(Debug)]
pub struct PythonExecutor {
    pool: Arc<Pool>,
}

impl PythonExecutor {
    /// Finds the interpreter, starts one zygote, checks which layers of isolation hold, and tries to break
    /// out.
    ///
    /// # Errors
    /// It fails if there's no usable interpreter, if less isolation holds than `config` demands, or if the
    /// self-test got through a layer.
    pub fn new(config: PythonConfig) -> Result<Self, ExecutorError> {
        Self::with_landlock(config, i32::MAX)
    }

    /// Works as [`new`](Self::new) with landlock up to this version, for tests of older kernels.
    #[doc(hidden)]
    pub fn with_landlock(config: PythonConfig, newest: i32) -> Result<Self, ExecutorError> {
        config.check()?;
        let pool = Pool::start(config, newest)?;
        self_test::run(&pool)?;
        // The caller's statistics leave out the self-test.
        pool.take_stats();
        Ok(Self { pool: Arc::new(pool) })
    }
}

impl Executor for PythonExecutor {
    fn run(&self, code: &str) -> Result<ToolOutput, ExecutorFault> {
        self.pool.run(code)
    }

    fn session(&self) -> Result<Box<dyn CodeSession>, ExecutorFault> {
        Ok(Box::new(session::PythonSession::open(Arc::clone(&self.pool))?))
    }

    fn describe(&self) -> ExecutorInfo {
        self.pool.describe()
    }

    fn at_once(&self) -> usize {
        self.pool.config().worker_count()
    }

    fn would_repeat(&self, output: &ToolOutput) -> bool {
        let config = self.pool.config();
        would_repeat(output, config.cpu_seconds, config.wall_seconds)
    }

    fn take_stats(&self) -> ExecutorStats {
        self.pool.take_stats()
    }
}

/// Returns a fault of this executor.
fn fault(doing: &str, error: impl std::fmt::Display) -> ExecutorFault {
    ExecutorFault { backend: NAME, message: format!("{doing}: {error}") }
}
