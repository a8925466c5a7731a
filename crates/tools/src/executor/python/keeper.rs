//! Spawns zygotes from one thread.
//!
//! Linux tells a child of its parent's death when the *thread* that made it ends (`PR_SET_PDEATHSIG`).
//! Zygotes and their children must live exactly as long as the executor, so one thread with that life spawns
//! them all.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

type Request = (Command, Sender<io::Result<Child>>);

/// Spawns commands whose processes die with it.
#[derive(Debug)]
pub(super) struct Keeper {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(super) fn start() -> io::Result<Self> {
        let (requests, received) = channel::<Request>();
        let thread = thread::Builder::new().name("python-keeper".into()).spawn(move || {
            for (mut command, reply) in received {
                // The caller may have given up. Then the process is dropped, and ends for lack of a control
                // socket.
                let _ = reply.send(command.spawn());
            }
        })?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// Spawns a process that dies with this keeper.
    pub(super) fn spawn(&self, command: Command) -> io::Result<Child> {
        let gone = || io::Error::other("the keeper thread is gone");
        let (reply, answer) = channel();
        let requests = self.requests.as_ref().ok_or_else(gone)?;
        requests.send((command, reply)).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Closing the channel ends the thread.
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
