//! Bounds the memory that all live sessions of an executor hold together.
//!
//! Each execution has its limit, but hundreds of sessions may rest between cells. Together they hold at most
//! the memory of the executions that run at a time. Beyond it, the largest session ends.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::sys;

/// Holds the resting sessions and their memory.
#[derive(Debug)]
pub(super) struct Budget {
    max: u64,
    resting: Mutex<HashMap<u64, Resting>>,
}

#[derive(Debug)]
struct Resting {
    bytes: u64,
    /// The process to kill. Absent once it has been killed.
    pidfd: Option<OwnedFd>,
}

impl Budget {
    pub(super) fn new(max: u64) -> Self {
        Self { max, resting: Mutex::new(HashMap::new()) }
    }

    /// Returns a budget of `bytes` bytes for all sessions.
    pub(super) fn max(&self) -> u64 {
        self.max
    }

    /// Takes a session out, because it runs a cell or has ended. Returns false if the budget has ended it.
    pub(super) fn wake(&self, session: u64) -> bool {
        self.resting().remove(&session).is_none_or(|resting| resting.pidfd.is_some())
    }

    /// Adds a session of `bytes` bytes, then ends the largest ones until the rest fits. Returns false, and
    /// adds nothing, if this one is the largest.
    pub(super) fn rest(&self, session: u64, bytes: u64, pidfd: OwnedFd) -> bool {
        let mut resting = self.resting();
        resting.insert(session, Resting { bytes, pidfd: Some(pidfd) });
        loop {
            let live = || resting.iter().filter(|(_, held)| held.pidfd.is_some());
            let total: u64 = live().map(|(_, held)| held.bytes).sum();
            if total <= self.max || live().count() < 2 {
                return true;
            }
            // Among equals the younger one ends, which doesn't depend on the order of the map.
            let largest = live().map(|(id, held)| (held.bytes, *id)).max().expect("two at least").1;
            if largest == session {
                resting.remove(&session);
                return false;
            }
            if let Some(held) = resting.get_mut(&largest) {
                held.bytes = 0;
                held.pidfd.take().inspect(|pidfd| sys::kill(pidfd.as_fd()));
            }
        }
    }

    fn resting(&self) -> MutexGuard<'_, HashMap<u64, Resting>> {
        // A panic elsewhere can't leave the map half changed.
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::super::sys::Process;
    use super::*;

    /// Returns a process that waits for the end of its input, and a descriptor to kill it by.
    fn session() -> (Process, OwnedFd, Child) {
        let child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let process = Process::adopt(i32::try_from(child.id()).unwrap()).unwrap();
        let pidfd = process.ended_fd().try_clone().unwrap();
        (process, pidfd, child)
    }

    #[test]
    fn the_one_that_holds_most_ends() {
        let budget = Budget::new(100);
        let (one, two, three, four) = (session(), session(), session(), session());
        assert!(budget.rest(1, 500, one.1), "alone, it has its own limit only");
        assert!(budget.rest(2, 30, two.1));
        assert!(!budget.wake(1), "it was ended for the second one");
        assert!(budget.rest(3, 60, three.1));
        assert!(!budget.rest(4, 70, four.1), "itself the largest");
        assert!(budget.wake(2) && budget.wake(3) && budget.wake(4));
    }
}
