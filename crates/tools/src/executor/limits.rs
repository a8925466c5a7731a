//! Ranges of an executor's limits.

use turnwise_runfile::{Seconds, Within};
#[cfg(any(target_os = "linux", feature = "monty"))]
use turnwise_trajectory::{OutputStatus, ToolOutput};

use super::ExecutorError;

/// Returns the number of executions at a time where the configuration names no number.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Bounds the memory that code may take, in MiB.
pub(super) type MemoryMib = Within<1, 16_777_216>;

/// Bounds the output that is kept, in bytes.
pub(super) type OutputBytes = Within<1, 268_435_456>;

/// Bounds the executions at a time.
pub(super) type Workers = Within<1, 4_096>;

/// Checks the limits of a configuration that was built in code, which no reader of a file has checked.
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

/// Returns whether an output depends on the code alone.
///
/// Code can catch the exception of a soft limit and end well, so the times measured from outside count as
/// well.
#[cfg(any(target_os = "linux", feature = "monty"))]
pub(super) fn would_repeat(output: &ToolOutput, cpu_seconds: f64, wall_seconds: f64) -> bool {
    matches!(output.status, OutputStatus::Ok | OutputStatus::Error)
        && output.cpu_ms < cpu_seconds * 1e3
        && output.wall_ms < wall_seconds * 1e3
}
