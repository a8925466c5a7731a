//! The bound on sequences that are sampled or wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::refusal::Refusal;

/// Counts the sequences that are sampled or wait.
#[derive(Default)]
pub(crate) struct Queue(AtomicUsize);

/// Holds places in the queue until it is dropped.
pub(crate) struct Places {
    queue: Arc<Queue>,
    count: usize,
}

impl Places {
    /// Takes places, if at most `most` are taken then.
    pub(crate) fn take(queue: &Arc<Queue>, count: usize, most: usize) -> Result<Self, Refusal> {
        let taken = queue.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
            Some(taken + count).filter(|all| *all <= most)
        });
        match taken {
            Ok(_) => Ok(Self { queue: queue.clone(), count }),
            Err(_) => Err(Refusal::busy(format!("{most} sequences are being sampled or wait"))),
        }
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.queue.0.fetch_sub(self.count, Ordering::Relaxed);
    }
}
