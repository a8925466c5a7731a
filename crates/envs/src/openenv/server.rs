//! Keeps a server running: its sessions, room for them, and its restart after failures.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use turnwise_tools::Fault;

use super::address::Address;
use super::connection::{Broken, Connection};
use super::keep_alive::KeepAlive;
use super::launched::Launched;
use super::protocol::{Answer, Ask};
use super::{ORIGIN, OpenEnvConfig, schema};
use crate::outside::failures::{Failures, named};
use crate::outside::stderr::Log;

/// The first wait for room. Each is twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_millis(10);
/// The longest wait for room.
const LAST_WAIT: Duration = Duration::from_millis(500);

pub(super) fn fault(message: impl Into<String>) -> Fault {
    Fault::new(ORIGIN, message)
}

/// Holds a server, and the next one after it fails.
pub(super) struct Server {
    command: Option<Vec<String>>,
    /// Time for one answer.
    pub(super) timeout: Duration,
    /// Time for a start, and for room that another run takes.
    start: Duration,
    log: Arc<Log>,
    state: Mutex<State>,
    keep_alive: KeepAlive,
    /// Sessions of this run that are open.
    open: AtomicUsize,
    /// Held by the thread that waits for room, so that not all ask the server at once.
    line: Mutex<()>,
    /// Reason why nothing is played any more: the server has failed too often.
    broken: OnceLock<String>,
}

struct State {
    address: Address,
    /// The server, if the run has started it and it runs.
    running: Option<Launched>,
    /// Failures that were noticed so far. A session that was opened before the last one has no new failure to
    /// report.
    generation: u64,
    /// How often the server has ended so far.
    ends: u64,
    /// Reason of the last failure.
    reason: String,
    failures: Failures,
}

/// The part that has failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// One session.
    Session,
    /// The server, which is started again.
    Server,
}

/// The moment when a session was opened, and its task.
#[derive(Clone, Copy)]
struct Begun {
    generation: u64,
    ends: u64,
    seed: Option<u64>,
}

/// Holds a session of this run, from its beginning on.
pub(super) struct Opened {
    server: Arc<Server>,
    connection: Arc<Mutex<Connection>>,
    begun: Begun,
}

impl Server {
    /// Starts the server, or connects to a running one.
    ///
    /// # Errors
    /// If it doesn't start, or nothing listens.
    pub(super) fn start(config: &OpenEnvConfig) -> Result<Arc<Self>, String> {
        let (start, log) = (Duration::from_secs_f64(config.start_seconds), Arc::new(Log::new(ORIGIN)));
        let (address, running) = match &config.command {
            Some(command) => {
                let started = Launched::start(command, start, &log);
                let running = started.map_err(|why| at_place(Some(command), &why))?;
                (running.address.clone(), Some(running))
            }
            None => (
                {
                    let url = config.url.as_deref().unwrap_or_default();
                    Address::read(url).map_err(|what| format!("url {what}"))?
                },
                None,
            ),
        };
        let (reason, failures) = (String::new(), Failures::default());
        Ok(Arc::new(Self {
            command: config.command.clone(),
            timeout: Duration::from_secs_f64(config.timeout_seconds),
            start,
            log,
            state: Mutex::new(State { address, running, generation: 1, ends: 0, reason, failures }),
            keep_alive: KeepAlive::new(),
            open: AtomicUsize::new(0),
            line: Mutex::default(),
            broken: OnceLock::new(),
        }))
    }

    /// Returns the schema of the environment's actions.
    ///
    /// # Errors
    /// If the server doesn't give it.
    pub(super) fn action(&self) -> Result<Value, String> {
        let action = schema::action(&self.state().address, self.timeout);
        action.map_err(|why| self.with_last_words(&why))
    }

    /// Opens a session with its first question. Waits for room, which `give_up` makes by closing a session.
    ///
    /// # Errors
    /// If the server fails, or refuses for another reason than room.
    pub(super) fn open(
        self: &Arc<Self>,
        first: &Ask,
        give_up: impl Fn() -> bool,
    ) -> Result<(Opened, Answer), Fault> {
        if let Some(opened) = self.try_open(first)? {
            return Ok(opened);
        }
        let _line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut wait, mut since) = (FIRST_WAIT, Instant::now());
        loop {
            if let Some(opened) = self.try_open(first)? {
                return Ok(opened);
            }
            give_up();
            if self.open.load(Ordering::Acquire) > 0 {
                // One of this run's sessions ends some time.
                since = Instant::now();
            }
            if since.elapsed() > self.start {
                let begun = self.state().begun(None);
                let seconds = self.start.as_secs_f64();
                let why = format!(
                    "no room for a session for {seconds} s (CAPACITY_REACHED); hint: others hold them, or the \
                     server's max_concurrent_envs is too small; start_seconds says how long a run waits"
                );
                return Err(self.fail(begun, &Broken::new(why), Scope::Server, true));
            }
            std::thread::sleep(wait);
            wait = (wait * 2).min(LAST_WAIT);
        }
    }

    /// Works as [`Self::open`], and returns none if there is no room.
    fn try_open(self: &Arc<Self>, first: &Ask) -> Result<Option<(Opened, Answer)>, Fault> {
        let seed = if let Ask::Reset { seed } = first { Some(*seed) } else { None };
        let (address, begun) = self.address(seed)?;
        let connection = Connection::open(&address, self.timeout);
        // No task is to blame for a server that doesn't listen.
        let missed = Begun { seed: None, ..begun };
        let mut connection =
            connection.map_err(|why| self.fail(missed, &Broken::new(why), Scope::Server, true))?;
        match connection.ask(first, self.timeout) {
            Ok(Answer::Error(refusal)) if refusal.is_full() => Ok(None),
            Ok(answer) => {
                self.open.fetch_add(1, Ordering::AcqRel);
                let connection = self.keep_alive.keep(connection);
                Ok(Some((Opened { server: self.clone(), connection, begun }, answer)))
            }
            Err(broken) => {
                let scope = if broken.closed { Scope::Session } else { Scope::Server };
                Err(self.fail(begun, &broken, scope, true))
            }
        }
    }

    /// Returns the address of a running server, for the session of a seed.
    fn address(&self, seed: Option<u64>) -> Result<(Address, Begun), Fault> {
        let mut state = self.state();
        if state.running.as_ref().is_some_and(Launched::has_ended) {
            // It ended while no question was open.
            self.end(&mut state, "", None);
        }
        if let Some(broken) = self.broken.get() {
            return Err(fault(broken.as_str()));
        }
        if let (Some(command), None) = (&self.command, &state.running) {
            match Launched::start(command, self.start, &self.log) {
                Ok(running) => {
                    state.address = running.address.clone();
                    state.running = Some(running);
                }
                Err(why) => {
                    self.count(&mut state, why, None);
                    return Err(fault(state.reason.as_str()));
                }
            }
        }
        Ok((state.address.clone(), state.begun(seed)))
    }

    /// Records a failure, unless it follows from a recorded one. Returns the fault of the session that
    /// noticed. `asked`: whether it waited for an answer.
    fn fail(&self, begun: Begun, broken: &Broken, scope: Scope, asked: bool) -> Fault {
        let mut state = self.state();
        if state.ends != begun.ends {
            return fault(broken.why.as_str()).of_a_process(asked);
        }
        let ends = broken.closed && state.running.as_ref().is_some_and(Launched::is_ending);
        if scope == Scope::Server || ends {
            // A session that nothing else was open beside is the one to blame.
            let culprit = begun.seed.filter(|_| self.open.load(Ordering::Acquire) <= 1);
            self.end(&mut state, &broken.why, culprit);
            return fault(state.reason.as_str()).of_a_process(asked);
        }
        let told = fault(broken.why.as_str());
        if state.generation == begun.generation {
            self.count(&mut state, broken.why.clone(), begun.seed);
        }
        // Whether a server of somebody else's has ended isn't known.
        if broken.closed && self.command.is_none() { told.of_a_process(asked) } else { told }
    }

    /// Ends the server, if the run has started it, and counts its failure.
    fn end(&self, state: &mut State, why: &str, culprit: Option<u64>) {
        let reason = state.running.take().map_or_else(|| why.into(), |running| running.fail(why));
        state.ends += 1;
        self.count(state, reason, culprit);
    }

    /// Counts a failure. `culprit`: the seed that has caused it, if that is known.
    fn count(&self, state: &mut State, reason: String, culprit: Option<u64>) {
        state.generation += 1;
        state.reason.clone_from(&reason);
        let culprit: BTreeSet<String> = culprit.iter().map(u64::to_string).collect();
        if let Some(failed) = state.failures.add(reason, culprit) {
            let place = match &self.command {
                Some(command) => named(command),
                None => format!("url = {:?}", state.address.to_string()),
            };
            self.broken.get_or_init(|| format!("{place}: {failed}\n  hint: {HINT}"));
        }
    }

    /// Returns the reason why the run ends, if it does.
    pub(super) fn broken(&self) -> Option<&str> {
        self.broken.get().map(String::as_str)
    }

    /// Returns lines that the server has written since the last call.
    pub(super) fn take_log(&self) -> Vec<String> {
        self.log.take()
    }

    /// Ends the server and returns its failure, for an error of the start.
    pub(super) fn with_last_words(&self, why: &str) -> String {
        let ended = self.state().running.take_if(|running| running.is_ending());
        at_place(self.command.as_deref(), &ended.map_or_else(|| why.into(), |running| running.fail(why)))
    }

    #[cfg(test)]
    pub(super) fn address_for_tests(&self) -> String {
        self.state().address.to_string()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begun(&self, seed: Option<u64>) -> Begun {
        Begun { generation: self.generation, ends: self.ends, seed }
    }
}

const HINT: &str = "play with it by hand: openenv's own client shows what it says";

/// Returns an error of the start with its command.
fn at_place(command: Option<&[String]>, why: &str) -> String {
    match command {
        Some(command) if !why.starts_with("command = ") => format!("{}: {why}", named(command)),
        _ => why.into(),
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = self.state().running.take() {
            running.terminate();
        }
    }
}

impl Opened {
    /// Asks the session.
    ///
    /// # Errors
    /// If it fails.
    pub(super) fn ask(&self, ask: &Ask) -> Result<Answer, Fault> {
        let mut connection = self.connection();
        let heard = connection.listen();
        heard.map_err(|broken| self.fail(&broken, false))?;
        let answer = connection.ask(ask, self.server.timeout);
        answer.map_err(|broken| self.fail(&broken, true))
    }

    /// Names a step of the session for an error.
    pub(super) fn at_step(&self) -> String {
        self.begun.seed.map_or_else(|| "a step".into(), |seed| format!("a step of seed {seed}"))
    }

    /// Returns whether the session still lives, as far as it is known.
    pub(super) fn is_open(&self) -> bool {
        self.connection().listen().is_ok()
    }

    fn fail(&self, broken: &Broken, asked: bool) -> Fault {
        self.server.fail(self.begun, broken, Scope::Session, asked)
    }

    /// Returns the fault of a session with an invalid answer.
    pub(super) fn lies(&self, why: &str) -> Fault {
        self.fail(&Broken::new(why), true)
    }

    /// Records that a turn was answered.
    pub(super) fn plays(&self) {
        self.server.state().failures.clear();
    }

    /// Checks that the server has sent nothing that no question asked for.
    ///
    /// # Errors
    /// If it has, or the session is broken.
    pub(super) fn listen(&self) -> Result<(), Fault> {
        let heard = self.connection().listen();
        heard.map_err(|broken| self.fail(&broken, false))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.connection().tell(&Ask::Close);
        self.server.open.fetch_sub(1, Ordering::AcqRel);
    }
}
