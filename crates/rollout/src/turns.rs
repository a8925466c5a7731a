//! Queues turns for a policy as soon as they are ready, whatever the tools of other trajectories do.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use turnwise_trajectory::Completion;

use crate::context::Context;
use crate::event::Event;

/// Queues the turns of a play that can be sampled. Threads of a policy share it.
pub struct Turns<'a> {
    queue: Mutex<Queue<'a>>,
    changed: Condvar,
    events: Sender<Event<'a>>,
    longest: usize,
}

#[derive(Default)]
struct Queue<'a> {
    ready: BTreeMap<usize, Context<'a>>,
    ended: Vec<usize>,
    closed: bool,
}

/// Holds turns and ends of one shard.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    /// Turns to be sampled, in the order of their trajectories.
    pub turns: Vec<Context<'a>>,
    /// Indices of trajectories that have ended or restart. Drop their caches before sampling `turns`.
    pub ended: Vec<usize>,
}

/// Selects the trajectories of one thread of a policy. If the thread panics, the play ends.
pub struct Shard<'t, 'a> {
    turns: &'t Turns<'a>,
    at: usize,
    of: usize,
}

impl<'a> Turns<'a> {
    pub(crate) fn new(events: Sender<Event<'a>>, longest: usize) -> Self {
        Self { queue: Mutex::default(), changed: Condvar::new(), events, longest }
    }

    /// Returns the largest number of tokens of a trajectory.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Waits for a turn and returns the first ready one; none once the play has ended.
    pub fn take(&self) -> Option<Context<'a>> {
        let mut queue = self.queue();
        while !queue.closed {
            if let Some((_, context)) = queue.ready.pop_first() {
                return Some(context);
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    /// Returns shard `at` of `of`: the trajectories whose index modulo `of` is `at`.
    pub fn shard(&self, at: usize, of: usize) -> Shard<'_, 'a> {
        assert!(at < of, "shards count from 0");
        Shard { turns: self, at, of }
    }

    /// Answers a turn that was handed out.
    pub fn answer(&self, index: usize, completion: Completion) {
        // A play that has failed receives no more events.
        let _ = self.events.send(Event::Sampled(index, completion));
    }

    /// Gives up a turn that was handed out: its trajectory is lost, and the others go on.
    pub fn lose(&self, index: usize, reason: String) {
        // A play that has failed receives no more events.
        let _ = self.events.send(Event::Lost(index, reason));
    }

    /// Reports that the context of a turn that was handed out is full: its trajectory ends at that limit.
    pub fn fill(&self, index: usize) {
        let _ = self.events.send(Event::Full(index));
    }

    /// Returns whether the play takes no more answers.
    pub fn is_closed(&self) -> bool {
        self.queue().closed
    }

    /// Ends the play's sampling and wakes all threads that wait for a turn.
    pub fn close(&self) {
        self.queue().closed = true;
        self.changed.notify_all();
    }

    pub(crate) fn offer(&self, context: Context<'a>) {
        self.queue().ready.insert(context.index, context);
        self.changed.notify_all();
    }

    pub(crate) fn end(&self, index: usize) {
        self.queue().ended.push(index);
        self.changed.notify_all();
    }

    fn queue(&self) -> MutexGuard<'_, Queue<'a>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Shard<'_, 'a> {
    /// Returns all turns and ends of this shard so far; none once the play has ended. With `wait` it waits
    /// for at least one.
    pub fn take(&self, wait: bool) -> Option<Batch<'a>> {
        let mine = |index: &usize| index % self.of == self.at;
        let mut queue = self.turns.queue();
        loop {
            if queue.closed {
                return None;
            }
            let turns: Vec<Context<'a>> =
                queue.ready.extract_if(.., |index, _| mine(index)).map(|(_, context)| context).collect();
            let ended: Vec<usize> = queue.ended.extract_if(.., |index| mine(index)).collect();
            if !(wait && turns.is_empty() && ended.is_empty()) {
                return Some(Batch { turns, ended });
            }
            queue = self.turns.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Shard<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.turns.close();
        }
    }
}
