//! Runs a process in a group with whatever it starts, and ends that group.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::watch::Watch;

/// Time between two looks at a process that is to end.
const LOOK: Duration = Duration::from_millis(2);

/// Holds a process that leads a group. Dropped, its group is killed.
#[derive(Debug)]
pub struct Group {
    child: Child,
    /// Ends the group if this process is killed.
    watch: Option<Watch>,
    /// The status of the leader, once it is reaped.
    status: Option<ExitStatus>,
}

impl Group {
    /// Starts a command as the leader of a group. Signals of the terminal are for the run, which ends the
    /// group itself.
    ///
    /// # Errors
    /// If it doesn't start.
    pub fn start(command: &mut Command) -> std::io::Result<Self> {
        let child = command.process_group(0).spawn()?;
        let watch = Some(Watch::over(child.id()));
        Ok(Self { child, watch, status: None })
    }

    /// Returns the leader, for its pipes.
    pub fn leader(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Returns whether the leader is reaped.
    pub fn is_reaped(&self) -> bool {
        self.status.is_some()
    }

    /// Asks the group to end by a signal.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits until the leader has ended, for `time` at most. Returns whether it has. Its number isn't
    /// reused before it's reaped.
    pub fn ends_within(&self, time: Duration) -> bool {
        let (id, until) = (WaitId::Pid(Pid::from_child(&self.child)), Instant::now() + time);
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        loop {
            match waitid(id.clone(), options) {
                Ok(None) if Instant::now() < until => std::thread::sleep(LOOK),
                Ok(None) => return false,
                // An error says that it was reaped.
                Ok(Some(_)) | Err(_) => return true,
            }
        }
    }

    /// Kills the group and reaps its leader. Returns the leader's status: that of its end, if it has ended.
    pub fn kill(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.signal(Signal::KILL);
            self.watch = None;
            self.status = self.child.wait().ok();
        }
        self.status
    }

    fn signal(&self, signal: Signal) {
        if self.status.is_none() {
            // An error says that nothing is left of the group.
            let _ = kill_process_group(Pid::from_child(&self.child), signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
