//! A server and its successors: sessions of it, room for them, and what is done about its failures.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use turnwise_tools::Fault;

use super::address::Address;
use super::connection::{Broken, Connection};
use super::keeper::Keeper;
use super::launched::Launched;
use super::protocol::{Answer, Ask};
use super::{ORIGIN, OpenEnvConfig, schema};
use crate::outside::failures::{Failures, named};
use crate::outside::stderr::Log;

/// How long the first wait for room takes; each is twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_millis(10);
/// How long any wait for room takes at most.
const LAST_WAIT: Duration = Duration::from_millis(500);

pub(super) fn fault(message: impl Into<String>) -> Fault {
    Fault::new(ORIGIN, message)
}

/// A server, and the next one after it fails.
pub(super) struct Server {
    command: Option<Vec<String>>,
    /// For one answer.
    pub(super) timeout: Duration,
    /// For a start, and for room that somebody else takes.
    start: Duration,
    log: Arc<Log>,
    state: Mutex<State>,
    keeper: Keeper,
    /// Sessions of this run that are open.
    open: AtomicUsize,
    /// Held by the one that waits for room, so that a server isn't asked by all at once.
    line: Mutex<()>,
    /// Why nothing is played any more: the server has failed too often.
    broken: OnceLock<String>,
}

struct State {
    address: Address,
    /// The server, if the run has started it and it runs.
    running: Option<Launched>,
    /// Failures that were noticed so far. A session that was opened before the last one has no new failure
    /// to tell.
    generation: u64,
    /// Why the last one failed.
    reason: String,
    failures: Failures,
}

/// What has failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// One session.
    Session,
    /// The server: it is started again.
    Server,
}

/// A session of this run, from its beginning on.
pub(super) struct Opened<'a> {
    server: &'a Server,
    connection: Arc<Mutex<Connection>>,
    generation: u64,
}

impl Server {
    /// Starts the server, or looks for one that runs.
    ///
    /// # Errors
    /// If it doesn't start, or nothing listens.
    pub(super) fn start(config: &OpenEnvConfig) -> Result<Self, String> {
        let (start, log) = (Duration::from_secs_f64(config.start_seconds), Arc::new(Log::new(ORIGIN)));
        let (address, running) = match &config.command {
            Some(command) => {
                let started = Launched::start(command, start, &log);
                let running = started.map_err(|why| at_place(Some(command), &why))?;
                (running.address.clone(), Some(running))
            }
            None => (Address::read(config.url.as_deref().unwrap_or_default())?, None),
        };
        let (reason, failures) = (String::new(), Failures::default());
        Ok(Self {
            command: config.command.clone(),
            timeout: Duration::from_secs_f64(config.timeout_seconds),
            start,
            log,
            state: Mutex::new(State { address, running, generation: 1, reason, failures }),
            keeper: Keeper::new(),
            open: AtomicUsize::new(0),
            line: Mutex::default(),
            broken: OnceLock::new(),
        })
    }

    /// Returns the schema of the environment's actions.
    ///
    /// # Errors
    /// If the server doesn't tell it.
    pub(super) fn action(&self) -> Result<Value, String> {
        let action = schema::action(&self.state().address, self.timeout);
        action.map_err(|why| self.with_last_words(&why))
    }

    /// Opens a session with its first question. Waits for room.
    ///
    /// # Errors
    /// If the server is out of order, or refuses for another reason than room.
    pub(super) fn open(&self, first: &Ask) -> Result<(Opened<'_>, Answer), Fault> {
        if let Some(opened) = self.try_open(first)? {
            return Ok(opened);
        }
        let _line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut wait, mut since) = (FIRST_WAIT, Instant::now());
        loop {
            if let Some(opened) = self.try_open(first)? {
                return Ok(opened);
            }
            if self.open.load(Ordering::Acquire) > 0 {
                // One of ours ends some time.
                since = Instant::now();
            }
            if since.elapsed() > self.start {
                let generation = self.state().generation;
                let seconds = self.start.as_secs_f64();
                let why = format!("no room for a session for {seconds} s (CAPACITY_REACHED)");
                return Err(self.fail(generation, &Broken::new(why), Scope::Server));
            }
            std::thread::sleep(wait);
            wait = (wait * 2).min(LAST_WAIT);
        }
    }

    /// As [`Self::open`]; none if there is no room.
    fn try_open(&self, first: &Ask) -> Result<Option<(Opened<'_>, Answer)>, Fault> {
        let (address, generation) = self.address()?;
        let connection = Connection::open(&address, self.timeout);
        let mut connection =
            connection.map_err(|why| self.fail(generation, &Broken::new(why), Scope::Server))?;
        match connection.begin(first, self.timeout) {
            Ok(Answer::Error(refusal)) if refusal.is_full() => Ok(None),
            Ok(answer) => {
                self.open.fetch_add(1, Ordering::AcqRel);
                let connection = self.keeper.keep(connection);
                Ok(Some((Opened { server: self, connection, generation }, answer)))
            }
            Err(broken) => {
                let scope = if broken.closed { Scope::Session } else { Scope::Server };
                Err(self.fail(generation, &broken, scope))
            }
        }
    }

    /// Returns the address of a server that runs, with its generation.
    fn address(&self) -> Result<(Address, u64), Fault> {
        let mut state = self.state();
        if state.running.as_ref().is_some_and(Launched::has_ended) {
            // It ended while nothing was asked.
            self.end(&mut state, "");
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
                    self.count(&mut state, why);
                    return Err(fault(state.reason.as_str()));
                }
            }
        }
        Ok((state.address.clone(), state.generation))
    }

    /// Notes a failure, unless it follows from one that was noted. Returns the fault of the session that
    /// noticed.
    fn fail(&self, generation: u64, broken: &Broken, scope: Scope) -> Fault {
        let mut state = self.state();
        if state.generation != generation {
            return fault(broken.why.as_str());
        }
        let ends = broken.closed && state.running.as_ref().is_some_and(Launched::is_ending);
        if scope == Scope::Server || ends {
            self.end(&mut state, &broken.why);
        } else {
            self.count(&mut state, broken.why.clone());
        }
        fault(state.reason.as_str())
    }

    /// Ends the server, if the run has started it, and counts its failure.
    fn end(&self, state: &mut State, why: &str) {
        let reason = state.running.take().map_or_else(|| why.into(), |running| running.fail(why));
        self.count(state, reason);
    }

    fn count(&self, state: &mut State, reason: String) {
        state.generation += 1;
        state.reason.clone_from(&reason);
        if let Some(failed) = state.failures.add(reason) {
            let place = match &self.command {
                Some(command) => named(command),
                None => format!("url = {:?}", state.address.to_string()),
            };
            self.broken.get_or_init(|| format!("{place}: {failed}\n  hint: {HINT}"));
        }
    }

    /// Returns why the run ends, if it does.
    pub(super) fn broken(&self) -> Option<&str> {
        self.broken.get().map(String::as_str)
    }

    /// Returns lines that the server has written since the last call.
    pub(super) fn take_log(&self) -> Vec<String> {
        self.log.take()
    }

    /// Ends the server and returns what is wrong with it, for an error of the beginning.
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

const HINT: &str = "play with it by hand: openenv's own client shows what it says";

/// Returns an error of the beginning with the command that it is about.
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

impl Opened<'_> {
    /// Asks the session.
    ///
    /// # Errors
    /// If it is out of order.
    pub(super) fn ask(&self, ask: &Ask) -> Result<Answer, Fault> {
        let answer = self.connection().ask(ask, self.server.timeout);
        answer.map_err(|broken| self.server.fail(self.generation, &broken, Scope::Session))
    }

    /// Returns the fault of a session whose answer makes no sense.
    pub(super) fn lies(&self, why: &str) -> Fault {
        self.server.fail(self.generation, &Broken::new(why), Scope::Session)
    }

    /// Notes that a turn was answered.
    pub(super) fn plays(&self) {
        self.server.state().failures.clear();
    }

    /// Hears whether the server has said anything that nothing asked for.
    ///
    /// # Errors
    /// If it has, or the session is broken.
    pub(super) fn listen(&self) -> Result<(), Fault> {
        let heard = self.connection().listen();
        heard.map_err(|broken| self.server.fail(self.generation, &broken, Scope::Session))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        self.connection().tell(&Ask::Close);
        self.server.open.fetch_sub(1, Ordering::AcqRel);
    }
}
