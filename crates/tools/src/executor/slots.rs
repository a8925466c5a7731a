//! Limits how many executions run at a time, and assigns workers to them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Holds a slot for each execution that may run at a time. A slot keeps its worker for the next execution.
#[derive(Debug)]
pub(super) struct Slots<T> {
    idle: Mutex<Vec<Option<T>>>,
    freed: Condvar,
}

impl<T> Slots<T> {
    /// Makes this number of slots (at least 1), one of which has a worker already.
    pub(super) fn new(count: usize, first: T) -> Self {
        // Slots are taken from the end.
        let mut idle: Vec<Option<T>> = (1..count).map(|_| None).collect();
        idle.push(Some(first));
        Self { idle: Mutex::new(idle), freed: Condvar::new() }
    }

    /// Waits until fewer run than there are slots.
    pub(super) fn take(&self) -> Slot<'_, T> {
        let started = Instant::now();
        let mut idle = self.idle();
        loop {
            if let Some(worker) = idle.pop() {
                return Slot { slots: self, worker, queued: started.elapsed() };
            }
            idle = self.freed.wait(idle).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Option<T>>> {
        // A panic elsewhere can't leave a list half changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Grants the right to run one execution now.
#[derive(Debug)]
pub(super) struct Slot<'a, T> {
    slots: &'a Slots<T>,
    /// The slot's worker, if it has one. A worker that is still here on drop goes to the next execution.
    pub(super) worker: Option<T>,
    /// Time spent waiting for the slot.
    pub(super) queued: Duration,
}

impl<T> Drop for Slot<'_, T> {
    fn drop(&mut self) {
        let worker = self.worker.take();
        let mut idle = self.slots.idle();
        // Slots with running workers are taken first, so that none is started while one is idle.
        if worker.is_some() {
            idle.push(worker);
        } else {
            idle.insert(0, worker);
        }
        drop(idle);
        self.slots.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_is_there_is_taken_first_and_nobody_waits_for_ever() {
        let slots = Slots::new(3, 'a');
        let (first, mut second) = (slots.take(), slots.take());
        assert_eq!((first.worker, second.worker), (Some('a'), None));
        second.worker = Some('b');
        drop(second);
        assert_eq!(slots.take().worker, Some('b'));
        let all = [slots.take(), slots.take()];
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| slots.take().worker);
            drop(all);
            assert!(waiting.join().is_ok());
        });
    }
}
