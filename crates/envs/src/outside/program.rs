//! Runs a program in a process group with its children: its start, its last lines and its end.

use std::process::{ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::group::Group;
use super::stderr::{Log, Stderr};
use super::unstarted::unstarted;

/// Time in which a program must end when it is asked to.
const GRACE: Duration = Duration::from_secs(2);
/// Time in which a program that answers no more must end, for its status.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Holds a program that runs, and the thread that reads its stderr.
pub(crate) struct Program {
    group: Group,
    stderr: Arc<Stderr>,
    /// Time when it was asked to end.
    asked: Option<Instant>,
}

impl Program {
    /// Starts the command of a key of the run file in a process group. `name` is the program's name in the
    /// log, `example` a command for the hint, and `prepare` sets its pipes and variables.
    ///
    /// # Errors
    /// If the command can't be started.
    pub(crate) fn start(
        (key, command): (&str, &[String]),
        example: &str,
        name: String,
        log: Arc<Log>,
        prepare: impl FnOnce(&mut Command) -> std::io::Result<()>,
    ) -> Result<Self, String> {
        let (program, arguments) =
            command.split_first().ok_or_else(|| format!("{key} = [] names no program; hint: {example}"))?;
        let start = || {
            let (read, write) = std::io::pipe()?;
            let mut child = Command::new(program);
            child.args(arguments).stdin(Stdio::null()).stderr(write.try_clone()?);
            // Output that isn't read as answers goes to the log.
            child.stdout(write);
            if std::env::var_os("PYTHONHASHSEED").is_none() {
                // The order of Python's sets is a part of what a program does.
                child.env("PYTHONHASHSEED", "0");
            }
            prepare(&mut child)?;
            Ok((Group::start(&mut child)?, read))
        };
        let started: std::io::Result<_> = start();
        let (group, stderr) = started.map_err(|error| format!("{key} = {}", unstarted(command, &error)))?;
        Ok(Self { group, stderr: Stderr::read(stderr, name, log), asked: None })
    }

    /// Takes its stdin and stdout, if both are piped and not taken yet.
    pub(crate) fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        let leader = self.group.leader();
        leader.stdin.take().zip(leader.stdout.take())
    }

    /// Records that it was asked to end.
    pub(crate) fn expect_end(&mut self) {
        self.asked.get_or_insert_with(Instant::now);
    }

    /// Asks its process group to end by a signal.
    pub(crate) fn terminate(&mut self) {
        if self.asked.is_none() && !self.group.is_reaped() {
            self.expect_end();
            self.group.terminate();
        }
    }

    /// Returns whether it ends within `time`. Its number isn't reused before it's reaped.
    pub(crate) fn ends_within(&self, time: Duration) -> bool {
        self.group.ends_within(time)
    }

    /// Kills its process group and reaps it. Returns its status: that of its end, if it has ended.
    pub(crate) fn end(&mut self) -> Option<ExitStatus> {
        self.group.kill()
    }

    /// Returns the last lines of its stderr, for an error; empty if there are none.
    pub(crate) fn last_words(&self) -> String {
        self.stderr.last()
    }

    /// Ends a program that failed. Returns its exit status and its last lines.
    pub(crate) fn fail(mut self, why: &str) -> String {
        self.group.kill();
        why.to_string() + &self.stderr.last()
    }

    /// Works as [`Self::fail`], for a program that seems to have ended. `noun` names it, and `otherwise`
    /// tells what it did if it hasn't ended.
    pub(crate) fn ended(mut self, noun: &str, otherwise: &str) -> String {
        let ended = self.ends_within(LAST_WORDS);
        let how = match self.group.kill().filter(|_| ended) {
            Some(status) => format!("the {noun} has ended ({status})"),
            None => otherwise.into(),
        };
        self.fail(&how)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !self.group.is_reaped() {
            let until = self.asked.unwrap_or_else(Instant::now) + GRACE;
            self.ends_within(until.saturating_duration_since(Instant::now()));
            self.group.kill();
        }
    }
}
