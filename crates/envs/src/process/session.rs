//! Plays one trajectory in a process.

use turnwise_tools::{Fault, ToolSpec};
use turnwise_trajectory::{ToolOutput, Turn};

use super::wire::{self, Closed, Request, Stepped};
use super::worker::{ORIGIN, Worker};
use crate::session::{Closing, Session, Step};

/// A session in a process.
pub(super) struct ProcessSession<'a> {
    worker: &'a Worker,
    /// The process of the session.
    generation: u64,
    name: String,
    /// The process's tools.
    tools: &'a [ToolSpec],
    closed: bool,
}

impl<'a> ProcessSession<'a> {
    /// Returns the session `name` of the process `generation`.
    pub(super) fn new(worker: &'a Worker, generation: u64, name: String, tools: &'a [ToolSpec]) -> Self {
        Self { worker, generation, name, tools, closed: false }
    }
}

impl Session for ProcessSession<'_> {
    fn step(&mut self, turn: &Turn, own: &[usize]) -> Result<Step, Fault> {
        let request = Request::Step(wire::Step::new(&self.name, turn, own, self.tools));
        let read = |stepped: Stepped| {
            let Stepped { outputs, rewards, done, message, correct } = stepped;
            let outputs = outputs.into_iter().map(ToolOutput::says).collect();
            Step { outputs, rewards, message, done, correct }.checked(ORIGIN, own.len())
        };
        self.worker.ask(&request, Some(self.generation), read).map(|(step, _)| step)
    }

    fn close(&mut self) -> Result<Closing, Fault> {
        self.closed = true;
        let request = Request::Close { session: &self.name };
        let read = |Closed { rewards, correct }: Closed| Closing { rewards, correct }.checked(ORIGIN);
        self.worker.ask(&request, Some(self.generation), read).map(|(closing, _)| closing)
    }
}

impl Drop for ProcessSession<'_> {
    fn drop(&mut self) {
        if !self.closed {
            self.worker.tell(&Request::Close { session: &self.name }, self.generation);
        }
    }
}
