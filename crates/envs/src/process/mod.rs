//! Runs an environment in any language: a process that answers JSON lines (`docs/environments.md` has the
//! protocol).
//!
//! ```text
//! describe → tasks, tools   reset → opening of a session   step → outputs, rewards, end   close → late rewards
//! ```
//! A session is one trajectory, and a process holds many at a time. A failure of a process ends its sessions.
//! Their trajectories are played again in the process that replaces it, and the one to blame is found by
//! playing suspects alone ([`Retries`](crate::Retries)).

mod config;
mod pending;
mod running;
mod session;
mod wire;
mod worker;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rand::Rng;
use turnwise_runfile::{Conflict, Seconds};
use turnwise_tools::executor::ExecutorConfig;
use turnwise_tools::{Fault, PythonTool, Tool, ToolSpec};
use turnwise_trajectory::{Message, Role};

use crate::env::{Env, EnvError};
use crate::opening::same_opening;
use crate::outside::openings::Openings;
use crate::outside::permits::Permits;
use crate::outside::stderr::Log;
use crate::seed::stream;
use crate::session::{Opened, Start};
use crate::settings::EnvSettings;
use crate::tasks::{Task, TaskSplit, Tasks};
pub use config::ProcessConfig;
use pending::Place;
use session::ProcessSession;
use wire::{Described, Request, Reset};
use worker::{Asker, ORIGIN, Shared, Worker, fault};

/// Sessions of one process that may wait for an answer at a time.
const WAITING_PER_WORKER: usize = 16;
/// Maximum of tasks in a split. A run holds the order of all.
const MAX_TASKS: usize = 1 << 24;
/// Maximum of bytes in a task's id, which every record of the task holds.
const MAX_ID: usize = 4096;
/// The tool of turnwise that a process may offer.
const PYTHON: &str = "python";

/// Plays the environment of a process that answers JSON lines.
pub struct Process {
    /// Sessions in which the tasks were read. No trajectory plays in them yet.
    openings: Openings<Place, ProcessSession>,
    shared: Arc<Shared>,
    workers: Vec<Arc<Worker>>,
    permits: Arc<Permits>,
    at_once: usize,
    offer: Described,
    /// Tools of the process itself.
    own_tools: Arc<[ToolSpec]>,
    /// Tools only, because tasks are asked for one by one.
    tasks: Tasks,
    known: Mutex<Known>,
    sessions: AtomicU64,
}

/// Tasks that were asked for.
#[derive(Default)]
struct Known {
    tasks: HashMap<Place, Task>,
    places: HashMap<String, Place>,
    /// Ids of tasks that couldn't be opened, and why.
    unopened: HashMap<String, String>,
}

impl Process {
    /// Starts the processes and asks for their offer.
    ///
    /// # Errors
    /// If the command doesn't start, doesn't answer, or makes an invalid offer.
    pub fn new(config: &ProcessConfig) -> Result<Self, EnvError> {
        Seconds::check("timeout_seconds", config.timeout_seconds).map_err(wrong)?;
        let shared = Arc::new(Shared {
            command: config.command.clone(),
            timeout: Duration::from_secs_f64(config.timeout_seconds),
            log: Arc::new(Log::new(ORIGIN)),
            broken: OnceLock::new(),
        });
        let start = |number| Worker::start(shared.clone(), number).map(Arc::new);
        let workers = (1..=config.workers.max(1)).map(start).collect::<Result<Vec<_>, _>>().map_err(wrong)?;
        let read = |offer: Described| {
            let tools = numbers(&offer).and_then(|()| tools(&offer));
            tools.map(|tools| (offer, tools)).map_err(fault)
        };
        let described = workers[0].ask(&Request::Describe, Asker::default(), read);
        let ((offer, tools), _) = described
            .map_err(|fault| wrong(format!("describe: {}{}", fault.message, hint(&fault.message))))?;
        Ok(Self {
            openings: Openings::new(),
            shared,
            permits: Permits::new(workers.len(), config.at_once.max(1)),
            at_once: config.at_once.max(1).saturating_mul(workers.len()),
            workers,
            own_tools: offer.tools.clone().into(),
            offer,
            tasks: Tasks::with_tools(tools),
            known: Mutex::default(),
            sessions: AtomicU64::new(0),
        })
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session in a process, for a task by its place.
    fn reset(&self, place: Place) -> Result<(ProcessSession, Task), Fault> {
        let permit = self.permits.take(|| self.openings.give_up());
        let (worker, (split, index)) = (self.workers[permit.process].clone(), place);
        let name = format!("s{}", self.sessions.fetch_add(1, Ordering::Relaxed));
        // JavaScript and other languages read whole numbers up to 2^53.
        let seed = stream(0, split.name(), index as u64).next_u64() >> 11;
        let request = Request::Reset { session: &name, split: split.name(), index, seed };
        let read = |Reset { task, level, mut messages }: Reset| {
            if messages.is_empty() {
                return Err(fault("no messages"));
            }
            if task.len() > MAX_ID {
                return Err(fault(format!("an id of {} bytes, at most {MAX_ID}", task.len())));
            }
            if let Some(system) = &self.offer.system {
                messages.insert(0, Message::new(Role::System, system.as_str()));
            }
            Ok(Task { id: task, level, messages, answer: String::new() })
        };
        let (task, generation) =
            worker.ask(&request, Asker { generation: None, place: Some(place) }, read)?;
        let tools = self.own_tools.clone();
        Ok((ProcessSession::new(worker, generation, name, place, tools, permit), task))
    }

    /// Returns a task that can't be opened. Its trajectories are lost with the fault.
    fn unopened(&self, (split, index): Place, fault: &Fault) -> Task {
        let id = format!("{}/{index}, not opened", split.name());
        let place = format!("reset of {} {index}", split.name());
        let told = fault.message.contains(&place);
        let reason = if told { fault.message.clone() } else { format!("{place}: {}", fault.message) };
        self.known().unopened.insert(id.clone(), reason);
        Task { id, level: 0, messages: vec![Message::new(Role::User, "")], answer: String::new() }
    }
}

impl EnvSettings for ProcessConfig {
    fn conflict(&self) -> Option<Conflict> {
        Self::conflict(self)
    }

    fn open(&self, _: &ExecutorConfig) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(Process::new(self)?))
    }
}

/// Returns a hint for a process that can't begin.
fn hint(message: &str) -> &'static str {
    if message.starts_with("no answer for") {
        "\n  hint: env.process.timeout_seconds bounds the start too"
    } else if message.starts_with("it wrote") {
        "\n  hint: stdout is for answers in JSON; print other text to stderr"
    } else if message.starts_with("the process has") {
        "\n  hint: run env.process.command by hand: a line {\"id\":1,\"method\":\"describe\"} in, an answer out"
    } else {
        ""
    }
}

fn wrong(message: String) -> EnvError {
    EnvError::Config { env: "process", message }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.openings.clear();
        // All stdins are closed at once, so that each process has its time to end.
        self.workers.iter().for_each(|worker| worker.hang_up());
    }
}

/// Refuses more tasks than a run can hold.
fn numbers(offer: &Described) -> Result<(), String> {
    match [("train", offer.train), ("held_out", offer.held_out)].into_iter().find(|(_, n)| *n > MAX_TASKS) {
        Some((key, n)) => Err(format!("{key} is {n}, expected a whole number from 0 to {MAX_TASKS}")),
        None => Ok(()),
    }
}

/// Returns the specifications of all tools on offer.
fn tools(offer: &Described) -> Result<Vec<ToolSpec>, String> {
    let mut tools = offer.tools.clone();
    for name in &offer.builtin {
        if name != PYTHON {
            return Err(format!("builtin = [{name:?}]: turnwise has the tool {PYTHON:?} only"));
        }
        tools.push(ToolSpec::python());
    }
    let twice = tools.iter().enumerate().find(|(at, tool)| tools[..*at].iter().any(|t| t.name == tool.name));
    match twice {
        Some((_, tool)) => Err(format!("two tools are called {:?}", tool.name)),
        None => Ok(tools),
    }
}

impl Env for Process {
    fn name(&self) -> &'static str {
        "process"
    }

    fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    fn count(&self, split: TaskSplit) -> usize {
        match split {
            TaskSplit::Train => self.offer.train,
            TaskSplit::HeldOut => self.offer.held_out,
        }
    }

    fn task(&self, split: TaskSplit, index: usize) -> Result<Task, EnvError> {
        let place = (split, index);
        if let Some(task) = self.known().tasks.get(&place) {
            return Ok(task.clone());
        }
        let (session, task) = match self.openings.open(|| self.check(), || self.reset(place))? {
            Ok(opened) => opened,
            Err(fault) => return Ok(self.unopened(place, &fault)),
        };
        let mut known = self.known();
        if let Some(other) = known.places.insert(task.id.clone(), place).filter(|other| *other != place) {
            let [(a, first), (b, second)] = [place.min(other), place.max(other)];
            let (a, b, hint) = (a.name(), b.name(), "an id belongs to one task of both splits");
            let twice = format!("{a} {first} and {b} {second} have one id: {:?}\n  hint: {hint}", task.id);
            return Err(wrong(twice));
        }
        known.tasks.insert(place, task.clone());
        drop(known);
        self.openings.keep(place, session);
        self.permits.wake();
        Ok(task)
    }

    fn session<'a>(&'a self, start: Start<'a>) -> Result<Opened<'a>, Fault> {
        if let Some(reason) = self.known().unopened.get(&start.task.id) {
            return Err(fault(reason.clone()));
        }
        let place = self.known().places.get(&start.task.id).copied();
        let place = place.unwrap_or_else(|| panic!("{}: a task of another environment", start.task.id));
        let read = self.openings.take(&place).filter(ProcessSession::is_open);
        let session = if let Some(session) = read {
            session
        } else {
            let (session, task) = self.reset(place)?;
            let (split, index) = (place.0.name(), place.1);
            same_opening(&format!("{split} {index}"), start.task, &task).map_err(fault)?;
            session
        };
        let python = |_: &String| -> Box<dyn Tool + 'a> { Box::new(PythonTool::new(start.sandbox)) };
        let tools = self.offer.builtin.iter().map(python).collect();
        Ok(Opened { session: Box::new(session), tools, messages: None })
    }

    fn check(&self) -> Result<(), EnvError> {
        self.shared.broken.get().map_or(Ok(()), |why| Err(wrong(why.clone())))
    }

    fn take_log(&self) -> Vec<String> {
        self.shared.log.take()
    }

    fn waiting_at_once(&self) -> usize {
        WAITING_PER_WORKER * self.workers.len()
    }

    fn sessions_at_once(&self) -> usize {
        self.at_once
    }

    fn alone_at_once(&self) -> usize {
        self.workers.len()
    }

    fn close_openings(&self) {
        self.openings.clear();
    }

    /// Returns the whole text. Sessions judge, so it only counts votes.
    fn answer(&self, text: &str) -> Option<String> {
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_string())
    }

    fn is_correct(&self, _: &Task, _: &str) -> Result<bool, EnvError> {
        Ok(false)
    }

    fn vote(&self, _: &Task, _: &str) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests;
