//! Runs a program in a process group with its children: its start, its last lines and its end.

use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::stderr::{Log, Stderr};
use super::watch::Watch;

/// Time in which a program must end when it is asked to.
const GRACE: Duration = Duration::from_secs(2);
/// Time in which a program that answers no more must end, for its status.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A program that runs, and the thread that reads its stderr.
pub(crate) struct Program {
    child: Child,
    /// Ends its group if this process is killed.
    watch: Option<Watch>,
    stderr: Arc<Stderr>,
    /// Time when it was asked to end.
    asked: Option<Instant>,
    /// Its status, once it is reaped.
    status: Option<ExitStatus>,
}

impl Program {
    /// Starts the command in a process group. `name` is the program's name in the log, `example` a command
    /// for the hint, and `prepare` sets its pipes and variables.
    ///
    /// # Errors
    /// If the command can't be started.
    pub(crate) fn start(
        command: &[String],
        example: &str,
        name: String,
        log: Arc<Log>,
        prepare: impl FnOnce(&mut Command) -> std::io::Result<()>,
    ) -> Result<Self, String> {
        let (program, arguments) =
            command.split_first().ok_or_else(|| format!("command = [] names no program; hint: {example}"))?;
        let start = || {
            let (read, write) = std::io::pipe()?;
            let mut child = Command::new(program);
            // Signals of the terminal are for the run, which ends the program itself.
            child.args(arguments).process_group(0).stdin(Stdio::null()).stderr(write.try_clone()?);
            // Output that isn't read as answers goes to the log.
            child.stdout(write);
            prepare(&mut child)?;
            Ok((child.spawn()?, read))
        };
        let started: std::io::Result<_> = start();
        let (child, stderr) =
            started.map_err(|error| format!("command = {command:?} doesn't start: {error}"))?;
        let watch = Some(Watch::over(child.id()));
        Ok(Self { child, watch, stderr: Stderr::read(stderr, name, log), asked: None, status: None })
    }

    /// Takes its stdin and stdout, if both are piped and not taken yet.
    pub(crate) fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        self.child.stdin.take().zip(self.child.stdout.take())
    }

    /// Records that it was asked to end.
    pub(crate) fn expect_end(&mut self) {
        self.asked.get_or_insert_with(Instant::now);
    }

    /// Asks its process group to end by a signal.
    pub(crate) fn terminate(&mut self) {
        if self.asked.is_none() && self.status.is_none() {
            self.expect_end();
            // An error says that nothing is left of the group.
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::TERM);
        }
    }

    /// Returns whether it ends within `patience`. Its number isn't reused before it's reaped.
    pub(crate) fn ends_within(&self, patience: Duration) -> bool {
        self.ends_before(Instant::now() + patience)
    }

    fn ends_before(&self, until: Instant) -> bool {
        let id = WaitId::Pid(Pid::from_child(&self.child));
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        loop {
            match waitid(id.clone(), options) {
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(2)),
                Ok(None) => return false,
                // An error says that it was reaped.
                Ok(Some(_)) | Err(_) => return true,
            }
        }
    }

    /// Kills its process group and reaps it. Returns its status: that of its end, if it has ended.
    pub(crate) fn end(&mut self) -> Option<ExitStatus> {
        self.kill();
        self.status
    }

    /// Returns the last lines of its stderr, for an error; empty if there are none.
    pub(crate) fn last_words(&self) -> String {
        self.stderr.last()
    }

    /// Ends a program that failed. Returns its exit status and its last lines.
    pub(crate) fn fail(mut self, why: &str) -> String {
        self.kill();
        why.to_string() + &self.stderr.last()
    }

    /// Works as [`Self::fail`], for a program that seems to have ended. `noun` names it, and `otherwise`
    /// tells what it did if it hasn't ended.
    pub(crate) fn ended(mut self, noun: &str, otherwise: &str) -> String {
        let ended = self.ends_within(LAST_WORDS);
        self.kill();
        let how = match self.status.filter(|_| ended) {
            Some(status) => format!("the {noun} has ended ({status})"),
            None => otherwise.into(),
        };
        self.fail(&how)
    }

    /// Kills its process group and reaps it.
    fn kill(&mut self) {
        if self.status.is_none() {
            // An error says that nothing is left of the group.
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            self.watch = None;
            self.status = self.child.wait().ok();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.status.is_none() {
            self.ends_before(self.asked.unwrap_or_else(Instant::now) + GRACE);
            self.kill();
        }
    }
}
