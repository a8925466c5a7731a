//! Taking the terminal and giving it back, whatever ends the run.

use std::io::{self, IsTerminal, Write};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sequences that enter another screen without a cursor, and leave it.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE: &str = "\x1b[0m\x1b[?25h\x1b[?1049l";

/// The settings to go back to, while the terminal is ours.
static TAKEN: Mutex<Option<String>> = Mutex::new(None);

fn taken() -> MutexGuard<'static, Option<String>> {
    // No state is half changed while the lock is held.
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns whether keys can be read and pictures drawn.
pub(super) fn is_there() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal() && !crate::terminal::is_dumb()
}

/// Takes the terminal: keys come at once and unseen, and reading waits a tenth of a second for one. Ctrl-C
/// stays a signal.
pub(super) fn take() -> io::Result<()> {
    let mut saved = taken();
    let before = stty(&["-g"])?;
    stty(&["-icanon", "-echo", "min", "0", "time", "1"])?;
    *saved = Some(before);
    to_stdout(ENTER.as_bytes())
}

/// Gives it back, if it was taken: after a run, in a panic, before an exit.
pub(crate) fn give_back() {
    if let Some(before) = taken().take() {
        // The process has a more important message than a lost terminal.
        let _ = to_stdout(LEAVE.as_bytes());
        let _ = stty(&[&before]);
    }
}

/// Shows bytes, if the terminal is still ours. Returns whether it is.
pub(super) fn show(bytes: &[u8]) -> bool {
    let taken = taken();
    taken.is_some() && to_stdout(bytes).is_ok()
}

fn to_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Settings of the terminal on stdin, by the program that every system with terminals has: the calls behind
/// it are not safe in Rust.
fn stty(arguments: &[&str]) -> io::Result<String> {
    let output = Command::new("stty").args(arguments).stdin(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("stty: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
}
