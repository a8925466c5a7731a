//! Threads that run tool calls while turns are sampled.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;

use turnwise_envs::{Request, Response, Task};
use turnwise_tools::ExecutorFault;
use turnwise_trajectory::{ToolCall, ToolOutput};

use crate::game::Game;
use crate::play::Event;
use crate::state::State;

/// Calls of one turn that run one after the other.
pub(crate) struct Work<'a> {
    pub(crate) seat: usize,
    pub(crate) task: &'a Task,
    pub(crate) sample: u32,
    pub(crate) turn: usize,
    /// By position in the turn.
    pub(crate) calls: Vec<(usize, ToolCall)>,
    /// The state that they share, if they do.
    pub(crate) state: Option<State>,
}

/// Threads that are started as they are needed. They end with the sender of their work.
pub(crate) struct ToolThreads<'s, 'e> {
    game: &'e Game<'e>,
    scope: &'s Scope<'s, 'e>,
    queue: Sender<Work<'e>>,
    waiting: Arc<Mutex<Receiver<Work<'e>>>>,
    tell: Sender<Event>,
    started: usize,
    at_most: usize,
}

impl<'s, 'e> ToolThreads<'s, 'e> {
    pub(crate) fn new(game: &'e Game<'e>, scope: &'s Scope<'s, 'e>, tell: Sender<Event>) -> Self {
        let (queue, waiting) = channel();
        // Twice the cores: a tool that waits leaves its core to another one.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let at_most = (2 * cores).max(game.executor.at_once());
        Self { game, scope, queue, waiting: Arc::new(Mutex::new(waiting)), tell, started: 0, at_most }
    }

    /// Queues calls. Their outputs come as an event.
    pub(crate) fn run(&mut self, work: Work<'e>) {
        self.queue.send(work).expect("this end of the queue is kept as well");
        if self.started < self.at_most {
            self.started += 1;
            let (game, waiting, tell) = (self.game, self.waiting.clone(), self.tell.clone());
            self.scope.spawn(move || {
                let _broke = BrokeBehind(&tell);
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(work) = next else { break };
                    // Nobody listens once a play has failed.
                    let _ = tell.send(game.run(work));
                }
            });
        }
    }
}

/// Tells the leader of a panic.
struct BrokeBehind<'t>(&'t Sender<Event>);

impl Drop for BrokeBehind<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.0.send(Event::ToolsBroke);
        }
    }
}

impl Game<'_> {
    fn run(&self, work: Work<'_>) -> Event {
        let Work { seat, task, sample, turn, calls, mut state } = work;
        let run = |(position, call): (usize, ToolCall)| {
            let request = Request { task, sample, turn, position, call: &call };
            (position, self.respond(&request, state.as_mut()))
        };
        let outputs = calls.into_iter().map(run).collect();
        Event::Ran { seat, outputs, state }
    }

    fn respond(&self, request: &Request<'_>, state: Option<&mut State>) -> Result<ToolOutput, ExecutorFault> {
        match (self.env.respond(request), state) {
            (Response::Run(program), Some(state)) => state.run(self.executor, &program),
            (Response::Run(program), None) => self.executor.run(&program),
            (Response::Output(output), _) => Ok(output),
        }
    }
}
