//! Signals that end the work: the first one at the next safe point, the second one at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::terminal;
use crate::tui::screen;

/// Becomes true when a signal asks the work to end.
static STOP: AtomicBool = AtomicBool::new(false);

/// Handles Ctrl-C, SIGTERM, SIGHUP and SIGUSR1 from now on. Batch systems send SIGUSR1 before a job's time is
/// over. SIGHUP is left out if `nohup` has switched it off. `what` is printed after the first signal.
pub(crate) fn on_signals(what: Option<&'static str>) -> io::Result<&'static AtomicBool> {
    let heard = [SIGINT, SIGTERM, SIGUSR1, SIGHUP].into_iter().filter(|&s| s != SIGHUP || !is_ignored(s));
    let mut signals = Signals::new(heard)?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            stop(signal);
            if let Some(what) = what {
                terminal::log(&format!("{what}; once more stops at once"));
            }
        }
    })?;
    Ok(&STOP)
}

/// Makes a write beyond the limit on the size of files an error, which has a place. By default its signal
/// ends the process without a word.
pub(crate) fn fail_at_file_limit() {
    // Without the handler the limit works as it did.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
}

/// Returns whether the parent process made this one ignore a signal; false without Linux's /proc.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask =
        status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Acts as on Ctrl-C.
pub(crate) fn ask() {
    stop(SIGINT);
}

/// Returns whether the work should end.
pub(crate) fn asked() -> bool {
    STOP.load(Ordering::Relaxed)
}

fn stop(signal: i32) {
    if STOP.swap(true, Ordering::Relaxed) {
        screen::give_back();
        terminal::flush();
        // A shell reports a process that a signal ended in this way.
        std::process::exit(128 + signal);
    }
}
