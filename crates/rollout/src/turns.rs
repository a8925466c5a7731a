//! Turns on their way to a policy: handed out as soon as they are ready, whatever the tools of other trajectories do.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::play::Event;
use crate::policy::{Completion, Context};

/// The turns of a play that can be sampled. Threads of a policy share it.
pub struct Turns<'a> {
    desk: Mutex<Desk<'a>>,
    changed: Condvar,
    answers: Sender<Event>,
    longest: usize,
}

#[derive(Default)]
struct Desk<'a> {
    ready: BTreeMap<usize, Context<'a>>,
    ended: Vec<usize>,
    closed: bool,
}

/// What a share of the trajectories has for its thread.
#[derive(Debug, Default)]
pub struct Handed<'a> {
    /// Turns to be sampled, in the order of their trajectories.
    pub turns: Vec<Context<'a>>,
    /// Indices of trajectories that have ended: nothing will be asked of them again.
    pub ended: Vec<usize>,
}

/// The trajectories that one thread of a policy answers for. A thread that panics takes the play with it.
pub struct Share<'t, 'a> {
    turns: &'t Turns<'a>,
    at: usize,
    of: usize,
}

impl<'a> Turns<'a> {
    pub(crate) fn new(answers: Sender<Event>, longest: usize) -> Self {
        Self { desk: Mutex::default(), changed: Condvar::new(), answers, longest }
    }

    /// Tokens that a trajectory of this play may come to.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Waits for the next turn, the first of those that are ready. None if there are no more.
    pub fn take(&self) -> Option<Context<'a>> {
        let mut desk = self.desk();
        while !desk.closed {
            if let Some((_, context)) = desk.ready.pop_first() {
                return Some(context);
            }
            desk = self.changed.wait(desk).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    /// Those trajectories whose index leaves `at` when it's divided by `of`: a thread that keeps a cache for each.
    pub fn share(&self, at: usize, of: usize) -> Share<'_, 'a> {
        assert!(at < of, "shares count from 0");
        Share { turns: self, at, of }
    }

    /// Answers a turn that was handed out.
    pub fn answer(&self, index: usize, completion: Completion) {
        // A play that failed listens no more.
        let _ = self.answers.send(Event::Sampled(index, completion));
    }

    /// Gives up a turn that was handed out: its trajectory is lost, and the others go on.
    pub fn lose(&self, index: usize, reason: String) {
        // As in an answer.
        let _ = self.answers.send(Event::Lost(index, reason));
    }

    /// Says that the context of a turn that was handed out is full for the policy: its trajectory ends at that limit.
    pub fn fill(&self, index: usize) {
        let _ = self.answers.send(Event::Full(index));
    }

    /// Whether no turn will be answered any more.
    pub fn is_closed(&self) -> bool {
        self.desk().closed
    }

    /// Says that no turn will be answered any more, to all threads that wait for one.
    pub fn close(&self) {
        self.desk().closed = true;
        self.changed.notify_all();
    }

    pub(crate) fn offer(&self, context: Context<'a>) {
        self.desk().ready.insert(context.index, context);
        self.changed.notify_all();
    }

    pub(crate) fn end(&self, index: usize) {
        self.desk().ended.push(index);
        self.changed.notify_all();
    }

    fn desk(&self) -> MutexGuard<'_, Desk<'a>> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Share<'_, 'a> {
    /// All that is there for this share by now. If that is nothing, waits if told to. None if there are no more turns.
    pub fn take(&self, wait: bool) -> Option<Handed<'a>> {
        let mine = |index: &usize| index % self.of == self.at;
        let mut desk = self.turns.desk();
        loop {
            if desk.closed {
                return None;
            }
            let turns: Vec<Context<'a>> =
                desk.ready.extract_if(.., |index, _| mine(index)).map(|(_, context)| context).collect();
            let ended: Vec<usize> = desk.ended.extract_if(.., |index| mine(index)).collect();
            if !(wait && turns.is_empty() && ended.is_empty()) {
                return Some(Handed { turns, ended });
            }
            desk = self.turns.changed.wait(desk).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Share<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.turns.close();
        }
    }
}
