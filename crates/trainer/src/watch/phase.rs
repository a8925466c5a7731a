//! Measures a phase of a run: wall time, processor time, and peak memory.

use std::time::{Duration, Instant};

/// Measures a phase that has begun.
pub(crate) struct Phase {
    clock: Instant,
    cpu: Option<Duration>,
}

/// Holds the resources of a phase.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spent {
    /// Wall time.
    pub(crate) wall: Duration,
    /// Processor time of all threads of this process, without that of tools; none where the system doesn't
    /// count.
    pub(crate) cpu: Option<Duration>,
    /// Peak resident memory of this process in bytes, including memory from before the phase. It is the peak
    /// of the whole process where the system can't reset it, and none where the system doesn't count.
    pub(crate) peak: Option<u64>,
}

impl Phase {
    /// Starts the clock and resets the peak of memory. Only one phase can be measured at a time.
    pub(crate) fn begin() -> Self {
        // On Linux, 5 resets the peak to the resident memory. If that fails, the peak of the whole process
        // stays.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        Self { clock: Instant::now(), cpu: processor_time() }
    }

    /// Returns the resources used so far.
    pub(crate) fn spent(&self) -> Spent {
        let cpu = processor_time().zip(self.cpu).map(|(now, then)| now.saturating_sub(then));
        Spent { wall: self.clock.elapsed(), cpu, peak: peak() }
    }
}

impl std::fmt::Display for Spent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} s", self.wall.as_secs_f64())?;
        let Some(peak) = self.peak else { return Ok(()) };
        write!(f, ", at most {:.2} GiB of memory", peak as f64 / (1_u64 << 30) as f64)
    }
}

/// Returns user and system time of this process so far, in steps of 10 ms, with ended threads.
pub fn processor_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let behind_name = stat.rsplit(')').next()?.split_whitespace();
    let ticks: u64 = behind_name.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(10 * ticks))
}

fn peak() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Larger than all other tests' memory together, for a peak belongs to the process.
    const BIG: usize = 1 << 30;

    #[test]
    fn a_phase_counts_its_own_peak_and_not_the_one_before() {
        let first = Phase::begin();
        let before = first.spent().peak.unwrap();
        let held = std::hint::black_box(vec![1_u8; BIG]);
        let with = first.spent();
        drop(held);
        assert!(with.peak.unwrap() > before + BIG as u64 / 2, "{before} and then {with}");
        // A later phase doesn't count it, where the system can reset the peak.
        if std::fs::write("/proc/self/clear_refs", "5").is_ok() {
            let after = Phase::begin().spent().peak.unwrap();
            assert!(after < before + BIG as u64 / 2, "{after} after {with}");
        }
    }
}
