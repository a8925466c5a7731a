//! The two clocks of a cell. When one runs out, the child is told, so that its state lives on; soon after,
//! it's killed.

use std::time::{Duration, Instant};

use super::config::PythonConfig;
use super::outcome::Hard;
use super::sys::Process;

/// How long beyond a soft limit the child may take to notice it.
const GRACE: Duration = Duration::from_millis(500);
/// How often the child is told; code may swallow what it raises.
const REPEAT: Duration = Duration::from_millis(20);
/// The longest wait between two looks at the clocks, as several threads use CPU time faster than one clock
/// ticks.
const LOOK: Duration = Duration::from_millis(100);
/// The child measures, too, and starts later by the way of a message.
const WAY: Duration = Duration::from_millis(1);

/// Tells a child that its CPU time is over (see `cell.py`). Timers of the code's own have other signals.
const CPU_OVER: i32 = libc::SIGXCPU;
/// Tells a child that its wall time is over. Linux itself never sends this one.
const WALL_OVER: i32 = libc::SIGSTKFLT;

/// Time that a cell has used, against its limits.
#[derive(Debug)]
pub(super) struct Clocks {
    started: Instant,
    cpu_before: Duration,
    cpu: Duration,
    wall: Duration,
}

impl Clocks {
    /// Starts the wall clock. `cpu_before` is the process's CPU time that isn't this cell's.
    pub(super) fn start(config: &PythonConfig, cpu_before: Duration) -> Self {
        let limit = |seconds| Duration::from_secs_f64(seconds) + WAY;
        let (cpu, wall) = (limit(config.cpu_seconds), limit(config.wall_seconds));
        Self { started: Instant::now(), cpu_before, cpu, wall }
    }

    pub(super) fn wall(&self) -> Duration {
        self.started.elapsed()
    }

    /// Looks at both: how long to wait for the next look, or why it's to be killed.
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
                // An error says that it has ended.
                let _ = process.signal(signal);
                wait = wait.min(REPEAT);
            } else {
                wait = wait.min(limit.saturating_sub(used));
            }
        }
        Ok(wait)
    }
}
