//! Counts executions from many threads.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use turnwise_trajectory::{OutputStatus, ToolOutput};

use crate::executor::ExecutorStats;

/// Counts executions and keeps their times. Threads share it.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    totals: ExecutorStats,
    wall_ms: Vec<f64>,
    queue_ms: Vec<f64>,
}

/// Times kept between two readings, for a caller that never reads.
const MAX_TIMES: usize = 1 << 16;

impl Recorder {
    pub(super) fn ran(&self, output: &ToolOutput, queued: Duration) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.totals.executions += 1;
        seen.totals.cpu_ms += output.cpu_ms;
        match output.status {
            OutputStatus::Timeout => seen.totals.timeouts += 1,
            OutputStatus::OutOfMemory => seen.totals.out_of_memory += 1,
            OutputStatus::Killed => seen.totals.killed += 1,
            OutputStatus::Ok | OutputStatus::Error | OutputStatus::Rejected => {}
        }
        if seen.wall_ms.len() < MAX_TIMES {
            seen.wall_ms.push(output.wall_ms);
            seen.queue_ms.push(queued.as_secs_f64() * 1e3);
        }
    }

    pub(super) fn failed(&self) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).totals.faults += 1;
    }

    /// Returns the summary so far and resets it.
    pub(super) fn take(&self) -> ExecutorStats {
        let mut seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        seen.wall_ms.sort_by(f64::total_cmp);
        seen.queue_ms.sort_by(f64::total_cmp);
        ExecutorStats {
            wall_ms_p50: quantile(&seen.wall_ms, 0.5),
            wall_ms_p99: quantile(&seen.wall_ms, 0.99),
            queue_ms_p50: quantile(&seen.queue_ms, 0.5),
            queue_ms_p99: quantile(&seen.queue_ms, 0.99),
            ..seen.totals
        }
    }
}

/// Returns the smallest value that at least this share of the sorted values doesn't exceed, or 0 without
/// values.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let times: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!((quantile(&times, 0.5), quantile(&times, 0.99)), (100.0, 198.0));
        assert_eq!((quantile(&[7.0], 0.5), quantile(&[], 0.99)), (7.0, 0.0));
    }
}
