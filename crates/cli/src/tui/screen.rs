//! Switches the terminal to the view and back, whatever ends the run.

use std::io::{self, IsTerminal, Write};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sequences that enter another screen without a cursor, and leave it.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE: &str = "\x1b[0m\x1b[?25h\x1b[?1049l";

/// The settings to restore, while the view has the terminal.
static TAKEN: Mutex<Option<String>> = Mutex::new(None);

fn taken() -> MutexGuard<'static, Option<String>> {
    // The state is consistent whenever the lock is free, even after a panic.
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns whether keys can be read and the view drawn.
pub(super) fn is_there() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal() && !crate::terminal::is_dumb()
}

/// Switches the terminal to the view: keys arrive at once without an echo, and reading waits a tenth of a
/// second for one. Ctrl-C stays a signal.
pub(super) fn take() -> io::Result<()> {
    let mut saved = taken();
    let before = stty(&["-g"])?;
    stty(&["-icanon", "-echo", "min", "0", "time", "1"])?;
    *saved = Some(before);
    to_stdout(ENTER.as_bytes())
}

/// Restores the terminal, if the view has it: after a run, in a panic, before an exit.
pub(crate) fn give_back() {
    if let Some(before) = taken().take() {
        // The process has a more important message than a lost terminal.
        let _ = to_stdout(LEAVE.as_bytes());
        let _ = stty(&[&before]);
    }
}

/// Writes bytes, if the view still has the terminal. Returns whether it does.
pub(super) fn show(bytes: &[u8]) -> bool {
    let taken = taken();
    taken.is_some() && to_stdout(bytes).is_ok()
}

fn to_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Changes settings of the terminal on stdin by `stty`, which every system with terminals has. The system
/// calls behind it need `unsafe`.
fn stty(arguments: &[&str]) -> io::Result<String> {
    let output = Command::new("stty").args(arguments).stdin(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("stty: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
}
