//! Keeps a child whose state lives on between cells.

use std::sync::Arc;

use turnwise_trajectory::{OutputStatus, ToolOutput};

use super::child::Child;
use super::fault;
use super::pool::Pool;
use crate::executor::{CodeSession, ExecutorFault, session_over};

/// Holds a session of the Python executor. Dropping it ends its child.
#[derive(Debug)]
pub(super) struct PythonSession {
    pool: Arc<Pool>,
    child: Option<Child>,
    number: u64,
}

impl PythonSession {
    pub(super) fn open(pool: Arc<Pool>) -> Result<Self, ExecutorFault> {
        let (child, number) = pool.open_session()?;
        Ok(Self { pool, child: Some(child), number })
    }

    /// Lets the session rest, if the budget of all sessions has room.
    fn rest(&self, output: ToolOutput) -> Result<(ToolOutput, bool), ExecutorFault> {
        let Some(child) = &self.child else { return Ok((output, false)) };
        // If the system doesn't tell its memory, it counts as the maximum.
        let bytes = child.bytes().unwrap_or_else(|| self.pool.max_of_one());
        let pidfd = child.pidfd().map_err(|error| fault("watching a session", error))?;
        if self.pool.budget().rest(self.number, bytes, pidfd) {
            return Ok((output, true));
        }
        let error = Some(format!("MemoryError: {}", self.too_much()));
        Ok((ToolOutput { status: OutputStatus::OutOfMemory, value: None, error, ..output }, false))
    }

    fn too_much(&self) -> String {
        let max = self.pool.budget().max() >> 20;
        format!("all sessions together hold more than {max} MiB, and this one most")
    }
}

impl CodeSession for PythonSession {
    fn run(&mut self, code: &str) -> Result<ToolOutput, ExecutorFault> {
        let Some(child) = self.child.as_mut() else {
            return Ok(session_over());
        };
        if !self.pool.budget().wake(self.number) {
            self.child = None;
            let error = Some(format!("Not run: {}", self.too_much()));
            return Ok(ToolOutput { error, ..ToolOutput::of(OutputStatus::Rejected) });
        }
        let turn = self.pool.take_turn();
        let result = child.run_cell(code, self.pool.config()).map_err(|error| fault("running a cell", error));
        let result =
            result.and_then(|(output, lives)| if lives { self.rest(output) } else { Ok((output, false)) });
        self.pool.record(result.as_ref().map(|(output, _)| output), &turn);
        drop(turn);
        if !matches!(result, Ok((_, true))) {
            self.child = None;
        }
        result.map(|(output, _)| output)
    }
}

impl Drop for PythonSession {
    fn drop(&mut self) {
        self.pool.budget().wake(self.number);
    }
}
