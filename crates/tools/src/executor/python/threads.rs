//! Bounds the threads of a child: the kernel asks before it makes one.
//!
//! Limits of the kernel count the threads of a whole account, or take a namespace or a control group that
//! containers deny. Asking (`SECCOMP_RET_USER_NOTIF`) takes neither, and works for root and for ordinary
//! users.

use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::{fs, io};

use super::sys::{Listener, Process};

/// Maximum of threads at a time.
const MAX_THREADS: u64 = 64;
/// Maximum of threads that a cell makes in all. Each costs the supervisor a question.
const MAX_OF_A_CELL: u64 = 10_000;

/// Counts the threads of one child.
#[derive(Debug)]
pub(super) struct ThreadLimit {
    listener: Listener,
    made: u64,
}

impl ThreadLimit {
    pub(super) fn new(listener: Listener) -> Self {
        Self { listener, made: 0 }
    }

    /// Begins to count for a cell.
    pub(super) fn begin(&mut self) {
        self.made = 0;
    }

    /// Returns a descriptor that is readable when the child waits to make a thread.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Allows or denies a thread.
    pub(super) fn answer(&mut self, child: &Process) -> io::Result<()> {
        let Self { listener, made } = self;
        listener.answer(|| {
            // Without /proc, threads that have ended count as well.
            let now = running(child.pid()).unwrap_or(*made + 1);
            let room = now < MAX_THREADS && *made < MAX_OF_A_CELL;
            *made += u64::from(room);
            room
        })
    }
}

/// Returns the threads of a process.
fn running(pid: i32) -> Option<u64> {
    // A folder has two links, and this one has another for each thread.
    fs::metadata(format!("/proc/{pid}/task")).ok().map(|task| task.nlink().saturating_sub(2))
}
