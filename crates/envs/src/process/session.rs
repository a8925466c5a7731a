//! One trajectory in a process.

use turnwise_tools::Fault;
use turnwise_trajectory::{Rewards, ToolOutput, Turn};

use super::wire::{self, Closed, Request, Stepped};
use super::worker::Worker;
use crate::session::{Closing, Session, Step};

/// A session that a process holds.
pub(super) struct ProcessSession<'a> {
    worker: &'a Worker,
    /// The process that holds it.
    generation: u64,
    name: String,
    builtin: &'a [String],
    /// Sum of the rewards called `acc`.
    acc: f64,
    correct: Option<bool>,
    closed: bool,
}

impl<'a> ProcessSession<'a> {
    /// Returns the session `name` of the process `generation`.
    pub(super) fn new(worker: &'a Worker, generation: u64, name: String, builtin: &'a [String]) -> Self {
        Self { worker, generation, name, builtin, acc: 0.0, correct: None, closed: false }
    }
}

impl Session for ProcessSession<'_> {
    fn step(&mut self, turn: &Turn, own: &[usize]) -> Result<Step, Fault> {
        let request = Request::Step(wire::Step::new(&self.name, turn, own, self.builtin));
        let (stepped, _) = self.worker.ask::<Stepped>(&request, Some(self.generation))?;
        let Stepped { outputs, rewards, done, message, correct } = stepped;
        let outputs = outputs.into_iter().map(ToolOutput::says).collect();
        let step = Step { outputs, rewards, message, done, correct: None };
        let step = step
            .checked("env.process", own.len())
            .map_err(|fault| self.worker.fail(self.generation, &fault.message))?;
        self.acc += step.rewards.get(Rewards::ACC);
        self.correct = correct.or(self.correct);
        Ok(step)
    }

    fn close(&mut self) -> Result<Closing, Fault> {
        self.closed = true;
        let request = Request::Close { session: &self.name };
        let (closed, _) = self.worker.ask::<Closed>(&request, Some(self.generation))?;
        let closing = Closing { rewards: closed.rewards, correct: None };
        let closing = closing
            .checked("env.process")
            .map_err(|fault| self.worker.fail(self.generation, &fault.message))?;
        let acc = self.acc + closing.rewards.get(Rewards::ACC);
        let correct = closed.correct.or(self.correct).unwrap_or(acc >= 1.0);
        Ok(Closing { correct: Some(correct), ..closing })
    }
}

impl Drop for ProcessSession<'_> {
    fn drop(&mut self) {
        if !self.closed {
            self.worker.tell(&Request::Close { session: &self.name }, self.generation);
        }
    }
}
