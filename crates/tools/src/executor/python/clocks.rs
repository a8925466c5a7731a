//! Watches the two clocks of a cell. When one runs out, the child is told, so that its state lives on. Soon
//! after, it's killed.

use std::time::{Duration, Instant};

use super::config::PythonConfig;
use super::outcome::Hard;
use super::sys::Process;

/// Time beyond a soft limit in which the child may notice it.
const GRACE: Duration = Duration::from_millis(500);
/// Time between two signals. Code may catch the exception that one raises.
const REPEAT: Duration = Duration::from_millis(20);
/// The longest wait between two checks, because several threads use CPU time faster than one clock ticks.
const LOOK: Duration = Duration::from_millis(100);
/// The child measures too, and its clock starts later by the transport of a message.
const WAY: Duration = Duration::from_millis(1);

/// Tells a child that its CPU time is over (see `cell.py`). Timers of the code have other signals.
const CPU_OVER: i32 = libc::SIGXCPU;
/// Tells a child that its wall time is over. Linux itself never sends this signal.
const WALL_OVER: i32 = libc::SIGSTKFLT;

/// Measures the time that a cell has used, against its limits.
#[derive(Debug)]
pub(super) struct Clocks {
    started: Instant,
    cpu_before: Duration,
    cpu: Duration,
    wall: Duration,
}

impl Clocks {
    /// Starts the wall clock. `cpu_before` is the CPU time of the process before this cell.
    pub(super) fn start(config: &PythonConfig, cpu_before: Duration) -> Self {
        let limit = |seconds| Duration::from_secs_f64(seconds) + WAY;
        let (cpu, wall) = (limit(config.cpu_seconds), limit(config.wall_seconds));
        Self { started: Instant::now(), cpu_before, cpu, wall }
    }

    pub(super) fn wall(&self) -> Duration {
        self.started.elapsed()
    }

    /// Checks both clocks. Returns the wait until the next check, or the reason to kill the child.
    pub(super) fn look(&self, process: &Process) -> Result<Duration, Hard> {
        let cpu = process.cpu_time().saturating_sub(self.cpu_before);
        let wall = self.wall();
        if cpu >= self.cpu + GRACE {
            return Err(Hard::Cpu);
        }
        if wall >= self.wall + GRACE {
            return Err(Hard::Wall);
        }
        let mut wait = LOOK;
        for (used, limit, signal) in [(cpu, self.cpu, CPU_OVER), (wall, self.wall, WALL_OVER)] {
            if used >= limit {
                // An error says that the process has ended.
                let _ = process.signal(signal);
                wait = wait.min(REPEAT);
            } else {
                wait = wait.min(limit.saturating_sub(used));
            }
        }
        Ok(wait)
    }
}
