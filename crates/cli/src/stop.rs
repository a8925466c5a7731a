//! Ctrl-C and SIGTERM: the first one ends the work at the next good place, the second one at once.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::tui;

/// Becomes true when somebody wants the work to end.
static STOP: AtomicBool = AtomicBool::new(false);

/// Listens from now on. `what` says what happens after the first signal, where nobody else shows it.
pub(crate) fn on_signals(what: Option<&'static str>) -> io::Result<&'static AtomicBool> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            stop(signal);
            if let Some(what) = what {
                // Nobody reads on a closed stderr.
                let _ = writeln!(io::stderr(), "{what}; once more stops at once");
            }
        }
    })?;
    Ok(&STOP)
}

/// What Ctrl-C does.
pub(crate) fn ask() {
    stop(SIGINT);
}

/// Whether the work is to end.
pub(crate) fn asked() -> bool {
    STOP.load(Ordering::Relaxed)
}

fn stop(signal: i32) {
    if STOP.swap(true, Ordering::Relaxed) {
        tui::give_back();
        // As a shell reports a process that a signal ended.
        std::process::exit(128 + signal);
    }
}
