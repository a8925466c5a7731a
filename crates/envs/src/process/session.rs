//! Plays one trajectory in a process.

use std::sync::Arc;

use turnwise_tools::{Fault, ToolSpec};
use turnwise_trajectory::{ToolOutput, Turn};

use super::pending::Place;
use super::wire::{self, Closed, Request, Stepped};
use super::worker::{Asker, ORIGIN, Worker};
use crate::outside::permits::Permit;
use crate::session::{Closing, Session, Step};

/// Holds a session in a process.
pub(super) struct ProcessSession {
    worker: Arc<Worker>,
    /// The process of the session.
    generation: u64,
    name: String,
    /// The task that it plays.
    place: Place,
    /// The process's tools.
    tools: Arc<[ToolSpec]>,
    closed: bool,
    _permit: Permit,
}

impl ProcessSession {
    /// Returns the session `name` of the process `generation`.
    pub(super) fn new(
        worker: Arc<Worker>,
        generation: u64,
        name: String,
        place: Place,
        tools: Arc<[ToolSpec]>,
        permit: Permit,
    ) -> Self {
        Self { worker, generation, name, place, tools, closed: false, _permit: permit }
    }

    /// Returns whether its process still runs.
    pub(super) fn is_open(&self) -> bool {
        self.worker.holds(self.generation)
    }

    fn asker(&self) -> Asker {
        Asker { generation: Some(self.generation), place: Some(self.place) }
    }
}

impl Session for ProcessSession {
    fn step(&mut self, turn: &Turn, own: &[usize]) -> Result<Step, Fault> {
        let request = Request::Step(wire::Step::new(&self.name, turn, own, &self.tools));
        let read = |stepped: Stepped| {
            let Stepped { outputs, rewards, done, message, correct } = stepped;
            let outputs = outputs.into_iter().map(ToolOutput::says).collect();
            Step { outputs, rewards, message, done, correct }.checked(ORIGIN, own.len())
        };
        self.worker.ask(&request, self.asker(), read).map(|(step, _)| step)
    }

    fn close(&mut self) -> Result<Closing, Fault> {
        self.closed = true;
        let request = Request::Close { session: &self.name };
        let read = |Closed { rewards, correct }: Closed| Closing { rewards, correct }.checked(ORIGIN);
        self.worker.ask(&request, self.asker(), read).map(|(closing, _)| closing)
    }
}

impl Drop for ProcessSession {
    fn drop(&mut self) {
        if !self.closed {
            self.worker.tell(&Request::Close { session: &self.name }, self.generation);
        }
    }
}
