//! Requests of one process that wait for their answers.

use std::collections::HashMap;
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::wire::Answer;

/// Holds the requests that wait, by id, until the process answers no more.
pub(super) struct Pending(Mutex<State>);

struct State {
    waiting: HashMap<u64, SyncSender<Answer>>,
    /// When the latest answer came.
    answered: Instant,
    /// Why there are no more answers.
    ended: Option<String>,
}

impl Pending {
    /// Returns those of a process that has just started.
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { waiting: HashMap::new(), answered: Instant::now(), ended: None }))
    }

    /// Registers a request. Returns how many waited before it; none if the process answers no more.
    pub(super) fn add(&self, id: u64, answers: SyncSender<Answer>) -> Option<usize> {
        let mut state = self.state();
        if state.ended.is_some() {
            return None;
        }
        let ahead = state.waiting.len();
        state.waiting.insert(id, answers);
        Some(ahead)
    }

    /// Hands an answer to its request. Returns whether one waited for it.
    pub(super) fn answer(&self, answer: Answer) -> bool {
        let mut state = self.state();
        state.answered = Instant::now();
        let asked = state.waiting.remove(&answer.id);
        drop(state);
        // A request whose session was given up has no receiver.
        asked.map(|asked| drop(asked.send(answer))).is_some()
    }

    /// Returns when the latest answer came.
    pub(super) fn answered(&self) -> Instant {
        self.state().answered
    }

    /// Refuses all requests, those that wait and those to come. The first reason stays.
    pub(super) fn end(&self, why: String) {
        let mut state = self.state();
        state.ended.get_or_insert(why);
        // Their receivers wake up.
        state.waiting.clear();
    }

    /// Returns why there are no more answers, if that is so.
    pub(super) fn ended(&self) -> Option<String> {
        self.state().ended.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
