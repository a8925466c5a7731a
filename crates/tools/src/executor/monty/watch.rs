//! Watches a cell's clock and memory in a thread of the worker.
//!
//! The interpreter checks one number from time to time: the memory that its program has allocated. Too much
//! of it ends the cell in a way that code can't catch. This thread sets the number to what the process really
//! has, and above every limit when the cell's CPU time is over.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use monty_types::{BASELINE_MEMORY, LIVE_MEMORY};
use rustix::time::{ClockId, clock_gettime};

use super::lock::Resident;
use super::message::CPU_EXIT;

/// Time between two checks of a cell.
const LOOK: Duration = Duration::from_millis(2);
/// CPU time beyond the limit in which the interpreter may notice.
const GRACE: Duration = Duration::from_millis(500);

/// Returns the CPU time of this process so far.
pub(super) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[derive(Debug, Default)]
struct Shared {
    running: Mutex<bool>,
    changed: Condvar,
    /// CPU time at which the cell is over, in nanoseconds.
    deadline: AtomicU64,
    out_of_time: AtomicBool,
}

/// Watches one cell after the other.
#[derive(Debug)]
pub(super) struct Watch {
    shared: Arc<Shared>,
    limit: Duration,
}

impl Watch {
    /// Starts the thread. `resident` measures the memory of the process.
    pub(super) fn start(limit: Duration, resident: Resident) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        BASELINE_MEMORY.store(resident.bytes(), Ordering::Relaxed);
        std::thread::Builder::new().name("watch".into()).spawn(move || look(&theirs, &resident))?;
        Ok(Self { shared, limit })
    }

    /// Begins to watch a cell.
    pub(super) fn begin(&self) {
        LIVE_MEMORY.store(0, Ordering::Relaxed);
        self.shared.out_of_time.store(false, Ordering::Relaxed);
        let deadline = (cpu_time() + self.limit).as_nanos() as u64;
        self.shared.deadline.store(deadline, Ordering::Relaxed);
        self.set_running(true);
    }

    /// Ends the watch. Returns whether the cell's time was over.
    pub(super) fn end(&self) -> bool {
        self.set_running(false);
        self.shared.out_of_time.load(Ordering::Relaxed)
    }

    fn set_running(&self, running: bool) {
        *self.shared.running.lock().unwrap_or_else(PoisonError::into_inner) = running;
        if running {
            self.shared.changed.notify_one();
        }
    }
}

fn look(shared: &Shared, resident: &Resident) {
    let mut running = shared.running.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        while !*running {
            running = shared.changed.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
        let deadline = Duration::from_nanos(shared.deadline.load(Ordering::Relaxed));
        let now = cpu_time();
        if now > deadline + GRACE {
            std::process::exit(CPU_EXIT);
        }
        let out_of_time = now > deadline;
        shared.out_of_time.store(out_of_time, Ordering::Relaxed);
        LIVE_MEMORY.store(if out_of_time { usize::MAX } else { resident.bytes() }, Ordering::Relaxed);
        running = shared.changed.wait_timeout(running, LOOK).unwrap_or_else(PoisonError::into_inner).0;
    }
}
