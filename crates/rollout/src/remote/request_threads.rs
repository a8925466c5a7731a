//! The threads of a server's policy: each asks for one turn at a time.

use crate::policy::PolicyError;

/// Runs `work` in a number of threads until all have ended.
///
/// # Errors
/// The first thread's that has one.
///
/// # Panics
/// If a thread panics.
pub(super) fn run(
    threads: usize,
    work: impl Fn() -> Result<(), PolicyError> + Sync,
) -> Result<(), PolicyError> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(&work)).collect();
        let ended: Vec<_> =
            threads.into_iter().map(|thread| thread.join().expect("a request thread panicked")).collect();
        ended.into_iter().collect()
    })
}
