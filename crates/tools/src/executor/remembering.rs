//! Runs equal code once. In rollouts the samples of a group write the same call again and again.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use turnwise_trajectory::ToolOutput;

use super::memory::{Known, Memory};
use super::{CodeSession, Executor, ExecutorFault, ExecutorInfo, ExecutorStats};

/// Wraps an executor, and gives code that ran before, or runs now in another thread, that execution's output.
///
/// It remembers an output only if it [depends on the code alone](Executor::would_repeat): never a fault, nor
/// the output of code that hit a limit or was killed. Sessions have a state and aren't remembered. Code that
/// reads the clock, `os.urandom` or an address gets one answer for all its executions instead of one for
/// each.
///
/// A remembered output has the time of its lookup as wall time, and no CPU time.
pub struct Remembering {
    executor: Box<dyn Executor>,
    shared: Mutex<Shared>,
    /// Signals that an execution has ended.
    ended: Condvar,
}

struct Shared {
    memory: Memory,
    /// Code that runs now and that others may wait for, with the number of that execution.
    running: HashMap<Box<str>, u64>,
    /// Executions so far that others could wait for.
    executions: u64,
    remembered: u64,
}

impl Remembering {
    /// Wraps any executor, with room for `bytes` bytes of code and outputs.
    pub fn new(executor: Box<dyn Executor>, bytes: usize) -> Self {
        let memory = Memory::new(bytes);
        let shared = Shared { memory, running: HashMap::new(), executions: 0, remembered: 0 };
        Self { executor, shared: Mutex::new(shared), ended: Condvar::new() }
    }

    /// Returns the output of `code` if it's known, after waiting for another thread that runs it. Otherwise
    /// returns the right to run it. A caller that waited in vain doesn't wait again, so that executions that
    /// all time out aren't serialised.
    fn recall(&self, code: &str) -> Result<Arc<ToolOutput>, Option<Running<'_>>> {
        let mut shared = self.shared();
        let mut known = shared.memory.recall(code);
        if let (None, Some(&first)) = (&known, shared.running.get(code)) {
            let wait = self.ended.wait_while(shared, |shared| shared.running.get(code) == Some(&first));
            shared = wait.unwrap_or_else(PoisonError::into_inner);
            known = shared.memory.recall(code);
        }
        match known {
            Some(Known::Output(output)) => {
                shared.remembered += 1;
                Ok(output)
            }
            Some(Known::RunsEachTime) => Err(None),
            // Another caller that waited in vain may be faster. Then both run.
            None if shared.running.contains_key(code) => Err(None),
            None => {
                shared.executions += 1;
                let number = shared.executions;
                shared.running.insert(code.into(), number);
                Err(Some(Running { executor: self, code: code.into() }))
            }
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // No code that can panic runs while it's half changed.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An execution that others wait for. Dropping it wakes them, whether it succeeded or not.
struct Running<'a> {
    executor: &'a Remembering,
    code: Box<str>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.executor.shared().running.remove(&self.code);
        self.executor.ended.notify_all();
    }
}

impl Executor for Remembering {
    fn run(&self, code: &str) -> Result<ToolOutput, ExecutorFault> {
        let started = Instant::now();
        let _running = match self.recall(code) {
            Ok(output) => {
                let wall_ms = started.elapsed().as_secs_f64() * 1e3;
                return Ok(ToolOutput { wall_ms, cpu_ms: 0.0, ..ToolOutput::clone(&output) });
            }
            Err(running) => running,
        };
        let output = self.executor.run(code)?;
        let known = if self.executor.would_repeat(&output) {
            Known::Output(Arc::new(output.clone()))
        } else {
            Known::RunsEachTime
        };
        self.shared().memory.keep(code.into(), known);
        Ok(output)
    }

    fn session(&self) -> Result<Box<dyn CodeSession>, ExecutorFault> {
        self.executor.session()
    }

    fn describe(&self) -> ExecutorInfo {
        self.executor.describe()
    }

    fn at_once(&self) -> usize {
        self.executor.at_once()
    }

    fn would_repeat(&self, output: &ToolOutput) -> bool {
        self.executor.would_repeat(output)
    }

    fn take_stats(&self) -> ExecutorStats {
        let remembered = std::mem::take(&mut self.shared().remembered);
        ExecutorStats { remembered, ..self.executor.take_stats() }
    }
}
