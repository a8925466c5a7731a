//! What the limits of an executor may be.

use turnwise_runfile::{Seconds, Within};
#[cfg(any(target_os = "linux", feature = "monty"))]
use turnwise_trajectory::{OutputStatus, ToolOutput};

use super::ExecutorError;

/// How many executions run at a time if nobody says.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// MiB of memory that code may take.
pub(super) type MemoryMib = Within<1, 16_777_216>;

/// Bytes of output that are kept.
pub(super) type OutputBytes = Within<1, 268_435_456>;

/// Executions at a time.
pub(super) type Workers = Within<1, 4_096>;

/// Refuses limits that nothing could run under, of a config that no file was read for.
pub(super) fn check_limits(
    backend: &'static str,
    cpu_seconds: f64,
    wall_seconds: f64,
    memory_mib: u64,
    output_bytes: usize,
    workers: usize,
) -> Result<(), ExecutorError> {
    Seconds::check("cpu_seconds", cpu_seconds)
        .and(Seconds::check("wall_seconds", wall_seconds))
        .and(MemoryMib::check("memory_mib", memory_mib))
        .and(OutputBytes::check("output_bytes", output_bytes))
        .and(Workers::check("workers", workers))
        .map_err(|message| ExecutorError { backend, message, hint: "leave it out for the default".into() })
}

/// Whether an output is the code's own doing. Code can swallow what a soft limit raises and end well, so the times that
/// were seen from outside count as well.
#[cfg(any(target_os = "linux", feature = "monty"))]
pub(super) fn would_repeat(output: &ToolOutput, cpu_seconds: f64, wall_seconds: f64) -> bool {
    matches!(output.status, OutputStatus::Ok | OutputStatus::Error)
        && output.cpu_ms < cpu_seconds * 1e3
        && output.wall_ms < wall_seconds * 1e3
}
