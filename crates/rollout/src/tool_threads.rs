//! Threads that run tools and sessions while turns are sampled.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;

use crate::event::Event;

/// Computes an event, and may wait for something outside this process.
pub(crate) type Job<'e> = Box<dyn FnOnce() -> Event<'e> + Send + 'e>;

/// Runs jobs in threads that are started as needed. They end with the sender of the jobs.
pub(crate) struct ToolThreads<'s, 'env, 'e> {
    scope: &'s Scope<'s, 'env>,
    queue: Sender<Job<'e>>,
    waiting: Arc<Mutex<Receiver<Job<'e>>>>,
    events: Sender<Event<'e>>,
    started: usize,
    max: usize,
}

impl<'s, 'env, 'e: 's> ToolThreads<'s, 'env, 'e> {
    /// Starts no thread yet. At least `at_once` jobs can wait at the same time.
    pub(crate) fn new(scope: &'s Scope<'s, 'env>, events: Sender<Event<'e>>, at_once: usize) -> Self {
        let (queue, waiting) = channel();
        // Twice the cores: a tool that waits leaves its core to another one.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let max = (2 * cores).max(at_once);
        Self { scope, queue, waiting: Arc::new(Mutex::new(waiting)), events, started: 0, max }
    }

    /// Queues a job.
    pub(crate) fn run(&mut self, job: Job<'e>) {
        self.queue.send(job).expect("this end of the queue is kept as well");
        if self.started < self.max {
            self.started += 1;
            let (waiting, events) = (self.waiting.clone(), self.events.clone());
            self.scope.spawn(move || {
                let _broke = BrokeBehind(&events);
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(job) = next else { break };
                    // A play that has failed receives no more events.
                    let _ = events.send(job());
                }
            });
        }
    }
}

/// Tells the leader of a panic.
struct BrokeBehind<'t, 'e>(&'t Sender<Event<'e>>);

impl Drop for BrokeBehind<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.0.send(Event::ToolsBroke);
        }
    }
}
