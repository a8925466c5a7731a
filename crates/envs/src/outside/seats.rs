//! Distributes sessions over processes or servers, and bounds those that each holds at a time.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Counts the open sessions of each process.
pub(crate) struct Seats {
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

/// A session's place in a process. It is free again when it's dropped.
pub(crate) struct Seat {
    seats: Arc<Seats>,
    /// Index of the process.
    pub(crate) process: usize,
}

impl Seats {
    pub(crate) fn new(processes: usize, at_once: usize) -> Arc<Self> {
        let taken = Mutex::new(Taken { open: vec![0; processes], first: 0 });
        Arc::new(Self { at_once, taken, freed: Condvar::new() })
    }

    /// Takes a seat in the process with the fewest sessions. Waits for one if all are full and `give_up`
    /// closes no session.
    pub(crate) fn take(self: &Arc<Self>, give_up: impl Fn() -> bool) -> Seat {
        loop {
            if let Some(seat) = self.try_take(&mut self.taken()) {
                return seat;
            }
            if give_up() {
                continue;
            }
            let mut taken = self.taken();
            if let Some(seat) = self.try_take(&mut taken) {
                return seat;
            }
            drop(self.freed.wait(taken).unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn try_take(self: &Arc<Self>, taken: &mut Taken) -> Option<Seat> {
        let processes = taken.open.len();
        let order = (0..processes).map(|at| (taken.first + at) % processes);
        let process = order.min_by_key(|&process| taken.open[process]).expect("there is a process");
        if taken.open[process] >= self.at_once {
            return None;
        }
        taken.open[process] += 1;
        taken.first = (process + 1) % processes;
        Some(Seat { seats: self.clone(), process })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those that wait for a seat: a session can be given up now.
    pub(crate) fn wake(&self) {
        // The lock orders this behind the check of a thread that is about to wait.
        drop(self.taken());
        self.freed.notify_all();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken().open[self.process] -= 1;
        self.seats.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_go_where_the_fewest_are_and_no_process_has_more_than_its_share() {
        let seats = Seats::new(3, 2);
        let never = || panic!("there is room");
        let mut taken: Vec<Seat> = (0..6).map(|_| seats.take(never)).collect();
        let counts = |seats: &Seats| seats.taken().open.clone();
        assert_eq!(counts(&seats), [2, 2, 2]);
        let freed = taken.remove(4).process;
        assert_eq!(seats.take(never).process, freed);
        // It was dropped at once. A full house gives up a session that nothing plays in.
        let again = seats.take(never);
        let given_up = Mutex::new(taken.pop());
        let late = seats.take(|| given_up.lock().unwrap().take().is_some());
        assert_eq!(counts(&seats), [2, 2, 2]);
        drop((again, late, taken));
        assert_eq!(counts(&seats), [0, 0, 0]);
        // Sessions one after the other use all processes.
        let used: Vec<usize> = (0..3).map(|_| seats.take(never).process).collect();
        assert!(used.iter().all(|process| used.iter().filter(|other| *other == process).count() == 1));
    }

    #[test]
    fn a_session_waits_until_another_ends() {
        let seats = Seats::new(1, 1);
        let first = seats.take(|| false);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| seats.take(|| false).process);
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(!second.is_finished());
            drop(first);
            assert_eq!(second.join().unwrap(), 0);
        });
    }
}
