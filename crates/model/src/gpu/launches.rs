//! Counts launches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cubecl::logging::{LaunchObservation, LaunchObserver};

#[derive(Default)]
struct Count(AtomicUsize);

impl LaunchObserver for Count {
    fn launched(&self, _: &'static str) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs a function. Returns its result and the number of kernels that this process launched meanwhile, Burn's
/// and ours, on all threads.
pub fn count_launches<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let count = Arc::new(Count::default());
    let watching = LaunchObservation::new(count.clone());
    let result = run();
    drop(watching);
    (result, count.0.load(Ordering::Relaxed))
}
