//! Measures the cost of work: wall time, processor time of all threads, and memory at its fullest.

use std::fs;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// By the clock on the wall.
    pub wall: f64,
    /// By the processor, all threads of this process together.
    pub cpu: f64,
}

/// Processor time so far; 0 where the system doesn't tell.
fn processor_time() -> Duration {
    turnwise_trainer::processor_time().unwrap_or_default()
}

/// Measures the cost of `work`.
pub fn cost(work: impl FnOnce()) -> Cost {
    let (started, before) = (Instant::now(), processor_time());
    work();
    Cost { wall: started.elapsed().as_secs_f64(), cpu: processor_time().saturating_sub(before).as_secs_f64() }
}

/// Returns the processor time of another process so far, in seconds; 0 where the system doesn't tell.
pub fn processor_time_of(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let behind_name = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u32 = behind_name.skip(11).take(2).filter_map(|field| field.parse::<u32>().ok()).sum();
    f64::from(ticks) / 100.0
}

/// Returns the time that all processors have worked so far, in seconds; 0 where the system doesn't tell.
/// Time that a virtual machine's host took from them counts.
pub fn busy_time() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<f64> =
        stat.lines().next().unwrap_or_default().split_whitespace().skip(1).flat_map(str::parse).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    [0, 1, 2, 5, 6, 7].iter().filter_map(|&field| ticks.get(field)).sum::<f64>() / 100.0
}

/// The most memory that this process has held, in bytes; 0 where the system doesn't tell.
pub fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// The middle one.
///
/// # Panics
/// If there is none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_costs_time_and_memory() {
        let (started, busy) = (Instant::now(), busy_time());
        let spent = cost(|| {
            // A whole number of the clock's ticks, so that the sum is exact.
            let enough = processor_time() + Duration::from_millis(20);
            while processor_time() < enough {
                assert!(started.elapsed().as_secs() < 60, "the processor's clock stands still");
            }
        });
        assert!(spent.wall >= 0.01 && spent.cpu >= 0.02, "{spent:?}");
        assert!(busy_time() > busy, "{busy}");
        assert!(peak_memory() > 1 << 20);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
    }
}
