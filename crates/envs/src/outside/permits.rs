//! Distributes sessions over processes or servers, and bounds those that each holds at a time.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Counts the open sessions of each process.
pub(crate) struct Permits {
    /// Most sessions of a process.
    at_once: usize,
    taken: Mutex<Taken>,
    freed: Condvar,
}

struct Taken {
    /// Open sessions by process.
    open: Vec<usize>,
    /// The process that is asked first among those with equally few.
    first: usize,
}

/// Holds a session's place in a process. It is free again when it's dropped.
pub(crate) struct Permit {
    permits: Arc<Permits>,
    /// Index of the process.
    pub(crate) process: usize,
}

impl Permits {
    pub(crate) fn new(processes: usize, at_once: usize) -> Arc<Self> {
        let taken = Mutex::new(Taken { open: vec![0; processes], first: 0 });
        Arc::new(Self { at_once, taken, freed: Condvar::new() })
    }

    /// Takes a permit in the process with the fewest sessions. Waits for one if all are full and `give_up`
    /// closes no session.
    pub(crate) fn take(self: &Arc<Self>, give_up: impl Fn() -> bool) -> Permit {
        loop {
            if let Some(permit) = self.try_take(&mut self.taken()) {
                return permit;
            }
            if give_up() {
                continue;
            }
            let mut taken = self.taken();
            if let Some(permit) = self.try_take(&mut taken) {
                return permit;
            }
            drop(self.freed.wait(taken).unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn try_take(self: &Arc<Self>, taken: &mut Taken) -> Option<Permit> {
        let processes = taken.open.len();
        let order = (0..processes).map(|at| (taken.first + at) % processes);
        let process = order.min_by_key(|&process| taken.open[process]).expect("there is a process");
        if taken.open[process] >= self.at_once {
            return None;
        }
        taken.open[process] += 1;
        taken.first = (process + 1) % processes;
        Some(Permit { permits: self.clone(), process })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those that wait for a permit: a session can be given up now.
    pub(crate) fn wake(&self) {
        // The lock orders this after the check of a thread that is about to wait.
        drop(self.taken());
        self.freed.notify_all();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.taken().open[self.process] -= 1;
        self.permits.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_go_where_the_fewest_are_and_no_process_has_more_than_its_share() {
        let permits = Permits::new(3, 2);
        let never = || panic!("there is room");
        let mut taken: Vec<Permit> = (0..6).map(|_| permits.take(never)).collect();
        let counts = |permits: &Permits| permits.taken().open.clone();
        assert_eq!(counts(&permits), [2, 2, 2]);
        let freed = taken.remove(4).process;
        assert_eq!(permits.take(never).process, freed);
        // It was dropped at once. A full house gives up a session that nothing plays in.
        let again = permits.take(never);
        let given_up = Mutex::new(taken.pop());
        let late = permits.take(|| given_up.lock().unwrap().take().is_some());
        assert_eq!(counts(&permits), [2, 2, 2]);
        drop((again, late, taken));
        assert_eq!(counts(&permits), [0, 0, 0]);
        // Sessions one after the other use all processes.
        let used: Vec<usize> = (0..3).map(|_| permits.take(never).process).collect();
        assert!(used.iter().all(|process| used.iter().filter(|other| *other == process).count() == 1));
    }

    #[test]
    fn a_session_waits_until_another_ends() {
        let permits = Permits::new(1, 1);
        let first = permits.take(|| false);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| permits.take(|| false).process);
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(!second.is_finished());
            drop(first);
            assert_eq!(second.join().unwrap(), 0);
        });
    }
}
