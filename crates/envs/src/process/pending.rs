//! Holds the requests of one process that wait for their answers.

use std::collections::{BTreeSet, HashMap};
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::wire::Answer;
use crate::tasks::TaskSplit;

/// Names a task by its split and index.
pub(super) type Place = (TaskSplit, usize);

/// Holds waiting requests by id, until the process answers no more.
pub(super) struct Pending(Mutex<State>);

struct State {
    waiting: HashMap<u64, Waiting>,
    /// Time of the latest answer.
    answered: Instant,
    /// Why no more answers come.
    ended: Option<Ended>,
}

struct Waiting {
    answers: SyncSender<Answer>,
    /// The task that it belongs to.
    place: Option<Place>,
}

/// Describes the end of a process.
#[derive(Debug, Clone, Default)]
pub(super) struct Ended {
    pub(super) why: String,
    /// Tasks whose requests waited for an answer then.
    pub(super) tasks: BTreeSet<Place>,
}

impl Pending {
    /// Returns the requests of a process that has just started.
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { waiting: HashMap::new(), answered: Instant::now(), ended: None }))
    }

    /// Registers a request. Returns the number of requests waiting before it, or none if the process answers
    /// no more.
    pub(super) fn add(&self, id: u64, place: Option<Place>, answers: SyncSender<Answer>) -> Option<usize> {
        let mut state = self.state();
        if state.ended.is_some() {
            return None;
        }
        let ahead = state.waiting.len();
        state.waiting.insert(id, Waiting { answers, place });
        Some(ahead)
    }

    /// Passes an answer to its request. Returns whether one waited for it.
    pub(super) fn answer(&self, answer: Answer) -> bool {
        let mut state = self.state();
        state.answered = Instant::now();
        let asked = state.waiting.remove(&answer.id);
        drop(state);
        // A request whose session was given up has no receiver.
        asked.map(|asked| drop(asked.answers.send(answer))).is_some()
    }

    /// Returns the time of the latest answer.
    pub(super) fn answered(&self) -> Instant {
        self.state().answered
    }

    /// Refuses all requests, waiting and future ones. The first reason stays.
    pub(super) fn end(&self, why: String) {
        let mut state = self.state();
        // Their receivers wake up when this is dropped.
        let waiting = std::mem::take(&mut state.waiting);
        let tasks = waiting.values().filter_map(|waiting| waiting.place).collect();
        state.ended.get_or_insert(Ended { why, tasks });
    }

    /// Returns why no more answers come, if there is a reason.
    pub(super) fn ended(&self) -> Option<Ended> {
        self.state().ended.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
