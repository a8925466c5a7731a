//! Keeps one process of an environment running: it has requests of many sessions at a time, answers come in
//! any order, and after a failure another process takes its place.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;
use turnwise_json::Unique;
use turnwise_tools::Fault;

use super::pending::{Pending, Place};
use super::running::Running;
use super::wire::{Answer, Request};
use crate::outside::failures::{Failures, named};
use crate::outside::stderr::{Log, escaped};

/// Origin of this environment's faults.
pub(super) const ORIGIN: &str = "env.process";
/// Beginning of the reason when no answer comes.
const LATE: &str = "no answer";
/// Characters of an environment's error that are kept.
const MAX_MESSAGE: usize = 2000;

pub(super) fn fault(message: impl Into<String>) -> Fault {
    Fault::new(ORIGIN, message)
}

/// Holds the state that the workers of an environment share.
pub(super) struct Shared {
    pub(super) command: Vec<String>,
    /// Time for one answer.
    pub(super) timeout: Duration,
    /// Lines of stderr.
    pub(super) log: Arc<Log>,
    /// Reason why nothing is played any more: a process has failed too often.
    pub(super) broken: OnceLock<String>,
}

/// Names the session of a request.
#[derive(Clone, Copy, Default)]
pub(super) struct Asker {
    /// The process that holds the session; none takes a running one.
    pub(super) generation: Option<u64>,
    pub(super) place: Option<Place>,
}

/// Holds a process, and the next one after it fails.
pub(super) struct Worker {
    shared: Arc<Shared>,
    /// Its number in messages, from 1.
    number: usize,
    state: Mutex<State>,
    next_id: AtomicU64,
}

#[derive(Default)]
struct State {
    running: Option<Running>,
    /// Processes started so far. Sessions of an earlier one are over.
    generation: u64,
    /// Reason why the last process failed.
    reason: String,
    /// Reasons of the failures since a turn was last answered.
    failures: Failures,
}

/// A request that waits for its answer.
struct Sent {
    generation: u64,
    pending: Arc<Pending>,
    /// Requests that waited before it.
    ahead: usize,
    at: Instant,
}

impl Worker {
    /// Starts the process.
    ///
    /// # Errors
    /// If the command can't be started.
    pub(super) fn start(shared: Arc<Shared>, number: usize) -> Result<Self, String> {
        let worker = Self { shared, number, state: Mutex::default(), next_id: AtomicU64::new(1) };
        let running = worker.launch()?;
        *worker.state() = State { running: Some(running), generation: 1, ..State::default() };
        Ok(worker)
    }

    fn launch(&self) -> Result<Running, String> {
        let name = format!("{ORIGIN} {}", self.number);
        Running::start(&self.shared.command, name, self.shared.log.clone())
    }

    /// Sends a request, waits for its result and returns the value that `read` makes of it, with the
    /// generation of the process that answered.
    ///
    /// # Errors
    /// If the process or the session fails. A process that fails is replaced by the next request.
    pub(super) fn ask<R: DeserializeOwned, T>(
        &self,
        request: &Request<'_>,
        asker: Asker,
        read: impl FnOnce(R) -> Result<T, Fault>,
    ) -> Result<(T, u64), Fault> {
        let (answers, answer) = sync_channel(1);
        let sent = self.send(request, asker, answers)?;
        let place = asker.place.map(|place| request.at(place));
        let waited = self.wait(&answer, &sent).map_err(|why| match &place {
            Some(place) if why.starts_with(LATE) => format!("{why} to {place}"),
            _ => why,
        });
        let answer = waited.map_err(|why| self.fail(sent.generation, &why, None))?;
        // The offer has no place, and its reader names it.
        let at_place = |why: String| match &place {
            Some(place) => format!("{place}: {why}"),
            None => why,
        };
        if let Some(refusal) = answer.error {
            // The environment's message about one session. Its process is well.
            let message: String = refusal.message.chars().take(MAX_MESSAGE).collect();
            return Err(fault(at_place(escaped(message.trim_end()))));
        }
        let result = match answer.result {
            // PHP writes an empty object so.
            Some(Unique(Value::Array(items))) if !items.is_empty() => {
                Err("a list, expected an object".into())
            }
            Some(Unique(result)) => turnwise_json::of_value(&result),
            None => turnwise_json::of_value(&Value::Null),
        };
        let result = result.map_err(|what| format!("an answer that makes no sense: {what}"));
        match result.and_then(|result| read(result).map_err(|fault| fault.message)).map_err(at_place) {
            Ok(result) => {
                if request.plays() {
                    self.state().failures.clear();
                }
                Ok((result, sent.generation))
            }
            Err(why) => Err(self.fail(sent.generation, &why, asker.place)),
        }
    }

    /// Sends a request whose answer has no effect.
    pub(super) fn tell(&self, request: &Request<'_>, generation: u64) {
        let (ignored, _) = sync_channel(1);
        // A process that has ended has no sessions.
        let _ = self.send(request, Asker { generation: Some(generation), place: None }, ignored);
    }

    fn send(&self, request: &Request<'_>, asker: Asker, answers: SyncSender<Answer>) -> Result<Sent, Fault> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let line = request.line(id);
        let mut state = self.state();
        let running = self.running(&mut state, asker.generation)?;
        let pending = running.pending.clone();
        if let Some(ahead) = running.send(id, asker.place, line, answers) {
            return Ok(Sent { generation: state.generation, pending, ahead, at: Instant::now() });
        }
        self.end(&mut state, &pending.ended().unwrap_or_default().why, None);
        Err(fault(state.reason.as_str()).of_a_process(false))
    }

    /// Returns the answer, or the reason why there is none.
    fn wait(&self, answer: &Receiver<Answer>, sent: &Sent) -> Result<Answer, String> {
        let timeout = self.shared.timeout;
        // A process may answer one request after another. The time of one begins with the answer before.
        let latest = sent.at + timeout * u32::try_from(sent.ahead).unwrap_or(u32::MAX);
        loop {
            let begun = sent.pending.answered().clamp(sent.at, latest);
            let left = (begun + timeout).saturating_duration_since(Instant::now());
            match answer.recv_timeout(left) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    return Err(format!("{LATE} for {} s", timeout.as_secs_f64()));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(sent.pending.ended().unwrap_or_default().why);
                }
            }
        }
    }

    /// Returns the process of a generation, or a running one.
    fn running<'s>(&self, state: &'s mut State, generation: Option<u64>) -> Result<&'s Running, Fault> {
        let ended = state.running.as_ref().and_then(|running| running.pending.ended());
        if let Some(ended) = ended {
            // It ended while no request waited, or no one has told yet.
            self.end(state, &ended.why, None);
        }
        if let Some(broken) = self.shared.broken.get() {
            return Err(fault(broken.as_str()));
        }
        if generation.is_some_and(|generation| generation != state.generation || state.running.is_none()) {
            let failed = format!("the process of this session has failed: {}", state.reason);
            return Err(fault(failed).of_a_process(false));
        }
        if state.running.is_none() {
            match self.launch() {
                Ok(running) => state.running = Some(running),
                Err(why) => {
                    self.count(state, why, &BTreeSet::new());
                    return Err(fault(state.reason.as_str()));
                }
            }
            state.generation += 1;
        }
        Ok(state.running.as_ref().expect("it was started"))
    }

    /// Ends the process of a generation, and with it all its sessions. Returns the fault of the session that
    /// noticed. `culprit`: the task whose answer is the failure.
    fn fail(&self, generation: u64, why: &str, culprit: Option<Place>) -> Fault {
        let mut state = self.state();
        if state.generation == generation {
            self.end(&mut state, why, culprit);
        }
        fault(state.reason.as_str()).of_a_process(true)
    }

    /// Ends the process, if it runs, and counts its failure.
    fn end(&self, state: &mut State, why: &str, culprit: Option<Place>) {
        if let Some(running) = state.running.take() {
            running.pending.end(why.into());
            let asked = running.pending.ended().unwrap_or_default().tasks;
            self.count(state, running.fail(why), &culprit.map_or(asked, |place| BTreeSet::from([place])));
        }
    }

    /// Counts a failure. `tasks` may have caused it.
    fn count(&self, state: &mut State, reason: String, tasks: &BTreeSet<Place>) {
        state.reason.clone_from(&reason);
        let tasks = tasks.iter().map(|(split, index)| format!("{} {index}", split.name())).collect();
        if let Some(failed) = state.failures.add(reason, tasks) {
            let (command, number) = (named(&self.shared.command), self.number);
            let hint = "play a session by hand, with the lines of docs/environments.md on its stdin";
            let broken = format!("{command}, worker {number}: {failed}\n  hint: {hint}");
            self.shared.broken.get_or_init(|| broken);
        }
    }

    /// Returns whether the process of a generation still runs.
    pub(super) fn holds(&self, generation: u64) -> bool {
        let state = self.state();
        let runs = state.running.as_ref().is_some_and(|running| running.pending.ended().is_none());
        runs && state.generation == generation
    }

    /// Closes the stdin of its process, which asks it to end.
    pub(super) fn hang_up(&self) {
        if let Some(running) = &mut self.state().running {
            running.hang_up();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
