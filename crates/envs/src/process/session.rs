//! One trajectory in a process.

use turnwise_tools::Fault;
use turnwise_trajectory::{ToolOutput, Turn};

use super::wire::{self, Closed, Request, Stepped};
use super::worker::{ORIGIN, Worker};
use crate::session::{Closing, Session, Step};

/// Rewards called `acc` that come to 1, or fall short of it by rounding: a tenth ten times does.
const WHOLE: f64 = 1.0 - 1e-9;

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
        let read = |stepped: Stepped| {
            let Stepped { outputs, rewards, done, message, correct } = stepped;
            let outputs = outputs.into_iter().map(ToolOutput::says).collect();
            let step = Step { outputs, rewards, message, done, correct: None };
            Ok((step.checked(ORIGIN, own.len())?, correct))
        };
        let ((step, correct), _) = self.worker.ask(&request, Some(self.generation), read)?;
        self.acc += step.rewards.acc();
        self.correct = correct.or(self.correct);
        Ok(step)
    }

    fn close(&mut self) -> Result<Closing, Fault> {
        self.closed = true;
        let request = Request::Close { session: &self.name };
        let read = |Closed { rewards, correct }: Closed| Closing { rewards, correct }.checked(ORIGIN);
        let (closing, _) = self.worker.ask(&request, Some(self.generation), read)?;
        let acc = self.acc + closing.rewards.acc();
        let correct = closing.correct.or(self.correct).unwrap_or(acc >= WHOLE);
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
