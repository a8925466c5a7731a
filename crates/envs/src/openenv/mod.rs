//! Plays an environment behind a server of OpenEnv 0.10 (`docs/openenv.md`).
//!
//! ```text
//! GET /schema → what an action is     WS /ws → a session: reset, then a step and its observation in turn
//! ```
//! A session is one trajectory, and a separate connection. A failure of a session or a server costs its
//! trajectories: they are played once more from their reset.

mod action;
mod address;
mod config;
mod connection;
mod handshake;
mod keep_alive;
mod launched;
mod protocol;
mod schema;
mod server;
mod session;
mod stream;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use turnwise_runfile::{Conflict, Seconds};
use turnwise_tools::Fault;
use turnwise_tools::executor::ExecutorConfig;
use turnwise_trajectory::{Message, Role};

use crate::env::{Env, EnvError};
use crate::opening::same_opening;
use crate::outside::openings::Openings;
use crate::outside::permits::Permits;
use crate::session::{Opened, Start};
use crate::settings::EnvSettings;
use crate::tasks::{Task, TaskSplit, Tasks};
use action::Form;
pub use config::OpenEnvConfig;
use protocol::{Answer, Ask, Observed};
use server::{Server, fault};
use session::{OpenEnvSession, Read};

/// Origin of this environment's faults.
const ORIGIN: &str = "env.openenv";

/// Plays the environment behind a server of OpenEnv.
pub struct OpenEnv {
    config: OpenEnvConfig,
    /// Sessions in which the tasks were read, by seed. No trajectory plays in them yet.
    openings: Openings<u64, Read>,
    permits: Arc<Permits>,
    server: Arc<Server>,
    form: Form,
    /// Tools only, because tasks are asked for one by one.
    tasks: Tasks,
    /// Tasks that were asked for, by seed.
    known: Mutex<HashMap<u64, Task>>,
    /// Why tasks couldn't be opened, by seed.
    unopened: Mutex<HashMap<u64, String>>,
}

impl OpenEnv {
    /// Starts the server, or connects to a running one, and asks for its offer.
    ///
    /// # Errors
    /// If it doesn't start, isn't a server of OpenEnv, or a turn can't choose its actions.
    pub fn new(config: &OpenEnvConfig) -> Result<Self, EnvError> {
        if let Some(Conflict { key, message }) = config.conflict() {
            return Err(wrong(format!("{key} {message}")));
        }
        let seconds = [("timeout_seconds", config.timeout_seconds), ("start_seconds", config.start_seconds)];
        for (key, seconds) in seconds {
            Seconds::check(key, seconds).map_err(wrong)?;
        }
        let server = Server::start(config).map_err(wrong)?;
        let form = server.action().and_then(|action| Form::read(&action)).map_err(wrong)?;
        let tools = Self::greet(&server, &form).map_err(|why| wrong(server.with_last_words(&why)))?;
        let tasks = Tasks::with_tools(tools);
        Ok(Self {
            config: config.clone(),
            openings: Openings::new(),
            permits: Permits::new(1, config.at_once),
            server,
            form,
            tasks,
            known: Mutex::default(),
            unopened: Mutex::default(),
        })
    }

    /// Checks that the server speaks the protocol. Returns its tools.
    fn greet(server: &Arc<Server>, form: &Form) -> Result<Vec<turnwise_tools::ToolSpec>, String> {
        let (opened, answer) = server.open(&Ask::State, || false).map_err(|fault| fault.message)?;
        match answer {
            Answer::Error(refusal) if refusal.is_of(&Ask::State) => return Err(refusal.to_string()),
            Answer::Observation(_) => return Err("it observes, and its state was asked for".into()),
            // An environment may have no state before its reset.
            Answer::State(_) | Answer::Error(_) => {}
        }
        if *form != Form::Calls {
            return Ok(Vec::new());
        }
        let tools = match opened.ask(&Ask::list_tools()).map_err(|fault| fault.message)? {
            Answer::Observation(observed) => observed.tools(),
            Answer::Error(refusal) => Err(refusal.to_string()),
            Answer::State(_) => Err("it tells its state".into()),
        };
        let tools = tools.map_err(|why| format!("list_tools: {why}"))?;
        let twice =
            tools.iter().enumerate().find(|(at, tool)| tools[..*at].iter().any(|t| t.name == tool.name));
        match twice {
            Some((_, tool)) => Err(format!("two tools are called {:?}", tool.name)),
            None => Ok(tools),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<u64, Task>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unopened(&self) -> MutexGuard<'_, HashMap<u64, String>> {
        self.unopened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the episode of a seed. Returns the first observation.
    fn reset(&self, seed: u64) -> Result<Read, Fault> {
        let give_up = || self.openings.give_up();
        let permit = self.permits.take(give_up);
        match self.server.open(&Ask::Reset { seed }, give_up)? {
            (opened, Answer::Observation(observed)) => Ok(Read { opened, observed, permit }),
            (_, Answer::Error(refusal)) => Err(fault(format!("reset of seed {seed}: {refusal}"))),
            (opened, Answer::State(_)) => Err(opened.lies("it told its state, and a reset was asked for")),
        }
    }

    /// Returns the messages of an episode that begins with an observation.
    fn opening(&self, observed: &Observed) -> Vec<Message> {
        let instruction = &self.config.instruction;
        let told = (!instruction.is_empty()).then(|| Message::new(Role::System, instruction.as_str()));
        told.into_iter().chain([Message::new(Role::User, observed.text())]).collect()
    }
}

impl EnvSettings for OpenEnvConfig {
    fn conflict(&self) -> Option<Conflict> {
        Self::conflict(self)
    }

    fn open(&self, _: &ExecutorConfig) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(OpenEnv::new(self)?))
    }
}

fn wrong(message: String) -> EnvError {
    EnvError::Config { env: "openenv", message }
}

fn task(seed: u64, messages: Vec<Message>) -> Task {
    Task { id: format!("seed/{seed}"), level: 1, messages, answer: String::new() }
}

impl Env for OpenEnv {
    fn name(&self) -> &'static str {
        "openenv"
    }

    fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    fn count(&self, split: TaskSplit) -> usize {
        match split {
            TaskSplit::Train => self.config.train,
            TaskSplit::HeldOut => self.config.held_out,
        }
    }

    fn task(&self, split: TaskSplit, index: usize) -> Result<Task, EnvError> {
        assert!(index < self.count(split), "the split has no such task");
        let seed = match split {
            TaskSplit::Train => index as u64,
            TaskSplit::HeldOut => (self.config.train + index) as u64,
        };
        if let Some(task) = self.known().get(&seed) {
            return Ok(task.clone());
        }
        match self.openings.open(|| self.check(), || self.reset(seed))? {
            Ok(read) => {
                let task = task(seed, self.opening(&read.observed));
                self.unopened().remove(&seed);
                self.known().insert(seed, task.clone());
                self.openings.keep(seed, read);
                self.permits.wake();
                Ok(task)
            }
            Err(fault) => {
                // Its trajectories are lost with the fault, and its next draw asks again.
                self.unopened().insert(seed, fault.message);
                Ok(task(seed, vec![Message::new(Role::User, "")]))
            }
        }
    }

    fn session<'a>(&'a self, start: Start<'a>) -> Result<Opened<'a>, Fault> {
        let seed = start.task.id.strip_prefix("seed/").and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| panic!("{}: a task of another environment", start.task.id));
        if let Some(reason) = self.unopened().get(&seed) {
            return Err(fault(reason.clone()));
        }
        let read = self.openings.take(&seed).filter(|read| read.opened.is_open());
        let read = if let Some(read) = read {
            read
        } else {
            let read = self.reset(seed)?;
            let again = task(seed, self.opening(&read.observed));
            let same = same_opening(&format!("seed {seed}"), start.task, &again);
            same.map_err(|why| read.opened.lies(&why))?;
            read
        };
        let session = OpenEnvSession::new(read, &self.form, start.tools_beside, self.config.right_from);
        Ok(Opened { session: Box::new(session), tools: Vec::new(), messages: None })
    }

    fn check(&self) -> Result<(), EnvError> {
        self.server.broken().map_or(Ok(()), |why| Err(wrong(why.into())))
    }

    fn take_log(&self) -> Vec<String> {
        self.server.take_log()
    }

    /// Returns the maximum of sessions: each waits for its server, and for room.
    fn waiting_at_once(&self) -> usize {
        self.config.at_once
    }

    fn sessions_at_once(&self) -> usize {
        self.config.at_once
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
