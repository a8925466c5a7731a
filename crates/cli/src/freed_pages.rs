//! Keeps freed memory in the process while a model is trained.

use std::env;
use std::process::Command;

/// mimalloc reads it before `main`: how many milliseconds freed pages wait until the system gets them back, -1 for ever.
const PURGE_DELAY: &str = "MIMALLOC_PURGE_DELAY";

/// Starts this program over with an allocator that gives no page back, unless the user has set how long it waits. A step
/// frees gigabytes that the next one takes again, and each page would be cleared anew: a seventh of the step's CPU time.
/// The process keeps its id; where it can't be started over it goes on as it is.
pub(crate) fn keep() {
    #[cfg(unix)]
    if let (None, Ok(program)) = (env::var_os(PURGE_DELAY), env::current_exe()) {
        use std::os::unix::process::CommandExt;
        let mut again = Command::new(program);
        let mut arguments = env::args_os();
        if let Some(name) = arguments.next() {
            again.arg0(name);
        }
        // Returns only if it failed.
        let _ = again.args(arguments).env(PURGE_DELAY, "-1").exec();
    }
}
