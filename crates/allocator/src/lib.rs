//! Allocates the memory of the programs: mimalloc, told to keep what they free.
//!
//! A program that links this crate has its allocator. It calls [`keep_freed_memory`] first. Training makes
//! and drops a tensor for every operation: beside glibc's allocator, this one saved a quarter of a step's CPU
//! time.

use std::ffi::{c_int, c_long};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Names mimalloc's `mi_option_purge_delay`, which the bindings leave out.
const PURGE_DELAY: c_int = 15;
/// Turns purging off.
const NEVER: c_long = -1;

/// Keeps freed memory for the next allocation instead of giving it back to the system.
///
/// A training step takes what the step before it freed. Memory that went back meanwhile comes as fresh pages,
/// and the kernel clears each of them: BENCHMARKS.md has the cost. A process therefore holds its peak until
/// it ends. The variable `MIMALLOC_PURGE_DELAY` of the environment wins: it is the delay in milliseconds.
#[allow(unsafe_code)]
pub fn keep_freed_memory() {
    // SAFETY: mimalloc takes options at any time and from any thread.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, NEVER) };
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEGABYTES: usize = 1 << 20;

    /// Counts the pages that the kernel has given to this process.
    #[allow(unsafe_code)]
    fn fresh_pages() -> i64 {
        // SAFETY: the kernel fills the structure, which is valid with zeros.
        unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            assert_eq!(libc::getrusage(libc::RUSAGE_SELF, &raw mut usage), 0);
            usage.ru_minflt
        }
    }

    #[test]
    fn memory_that_was_freed_is_not_cleared_again() {
        keep_freed_memory();
        let step = || [3, 40, 150].map(|size| vec![1_u8; size * MEGABYTES]);
        drop(step());
        std::thread::sleep(std::time::Duration::from_millis(1500));
        let before = fresh_pages();
        drop(step());
        let taken = fresh_pages() - before;
        assert!(taken < 500, "{taken} fresh pages");
    }
}
