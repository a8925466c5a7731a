//! How many threads a child may have: the kernel asks before it makes one.
//!
//! Limits of the kernel's own count the threads of a whole account, or take a namespace or a control group
//! that containers deny. Asking (`SECCOMP_RET_USER_NOTIF`) takes neither, and works for root and for ordinary
//! users.

use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::{fs, io};

use super::sys::{Listener, Process};

/// Threads at a time.
const MOST: u64 = 64;
/// Threads of a cell, one after the other: each is a question that we answer.
const MOST_OF_A_CELL: u64 = 10_000;

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

    /// Readable if the child waits to make a thread.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Lets a thread be made, or not.
    pub(super) fn answer(&mut self, child: &Process) -> io::Result<()> {
        let Self { listener, made } = self;
        listener.answer(|| {
            // Without /proc, those that have ended count as well.
            let now = running(child.pid()).unwrap_or(*made + 1);
            let room = now < MOST && *made < MOST_OF_A_CELL;
            *made += u64::from(room);
            room
        })
    }
}

/// Threads of a process.
fn running(pid: i32) -> Option<u64> {
    // A folder has two links, and this one has another for each thread.
    fs::metadata(format!("/proc/{pid}/task")).ok().map(|task| task.nlink().saturating_sub(2))
}
