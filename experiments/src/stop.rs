//! Handles signals that end the driver. The first one lets the running program save its state, and the second
//! one ends both at once.

use std::io;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Knows whether the work is to end, and the processes to tell.
#[derive(Default)]
pub(crate) struct Stop {
    asked: AtomicBool,
    children: Mutex<Vec<Pid>>,
}

impl Stop {
    /// Listens to Ctrl-C, SIGTERM and, unless `nohup` has switched it off, SIGHUP.
    pub(crate) fn on_signals() -> io::Result<Arc<Self>> {
        let stop = Arc::new(Self::default());
        let heard = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&s| s != SIGHUP || !is_ignored(s));
        let (mut signals, listener) = (Signals::new(heard)?, Arc::clone(&stop));
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                if listener.asked() {
                    listener.tell(Signal::KILL);
                    // As a shell reports a process that a signal ended.
                    std::process::exit(128 + signal);
                }
                crate::say("stops when the running program has saved what it has; once more stops at once");
                listener.ask();
            }
        })?;
        Ok(stop)
    }

    /// Asks for the end of the work.
    pub(crate) fn ask(&self) {
        // Under the lock of `run`, so a child that starts meanwhile is told as well.
        let children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        self.asked.store(true, Ordering::SeqCst);
        drop(children);
        self.tell(Signal::TERM);
    }

    /// Returns whether the work is to end.
    pub(crate) fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    fn tell(&self, signal: Signal) {
        for child in self.children.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // It may have ended by itself.
            let _ = kill_process(*child, signal);
        }
    }

    /// Runs a command to its end, in a separate process group. The terminal's Ctrl-C reaches the driver
    /// alone, which passes it on once.
    ///
    /// # Errors
    /// If the command doesn't start, or the work is to end.
    pub(crate) fn run(&self, command: &mut Command) -> io::Result<Output> {
        std::os::unix::process::CommandExt::process_group(command, 0);
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        if self.asked() {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "the driver stops"));
        }
        let child = command.stdout(std::process::Stdio::piped()).spawn()?;
        let pid = Pid::from_child(&child);
        children.push(pid);
        drop(children);
        let output = child.wait_with_output();
        self.children.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != pid);
        output
    }
}

/// Returns whether this process was started with a signal ignored. Without Linux's /proc it returns false.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask =
        status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_program_is_told_and_no_other_one_begins() {
        let stop = Arc::new(Stop::default());
        let other = Arc::clone(&stop);
        let running = std::thread::spawn(move || other.run(Command::new("sleep").arg("600")).unwrap());
        while stop.children.lock().unwrap().is_empty() {
            std::thread::yield_now();
        }
        stop.ask();
        assert!(!running.join().unwrap().status.success(), "it didn't sleep to the end");
        assert!(stop.children.lock().unwrap().is_empty());
        let refused = stop.run(&mut Command::new("true")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::Interrupted);
    }
}
