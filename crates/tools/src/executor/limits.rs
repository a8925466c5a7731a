//! What the limits of an executor may be.

#[cfg(any(target_os = "linux", feature = "monty"))]
use turnwise_trajectory::{OutputStatus, ToolOutput};

use super::ExecutorError;

/// How many executions run at a time if nobody says.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Refuses limits that nothing could run under.
pub(super) fn check_limits(
    backend: &'static str,
    cpu_seconds: f64,
    wall_seconds: f64,
    memory_mib: u64,
    output_bytes: usize,
    workers: usize,
) -> Result<(), ExecutorError> {
    // A thousand hours is beyond any use, and within what timers can hold.
    let seconds = |name, value: f64| (name, value.to_string(), value > 0.0 && value <= 3.6e6);
    let checks = [
        seconds("cpu_seconds", cpu_seconds),
        seconds("wall_seconds", wall_seconds),
        ("memory_mib", memory_mib.to_string(), (1..=1 << 30).contains(&memory_mib)),
        ("output_bytes", output_bytes.to_string(), (1..=1 << 28).contains(&output_bytes)),
        ("workers", workers.to_string(), (1..=4096).contains(&workers)),
    ];
    match checks.into_iter().find(|(_, _, good)| !good) {
        None => Ok(()),
        Some((name, value, _)) => Err(ExecutorError {
            backend,
            message: format!("{name} = {value} is out of range"),
            hint: format!("leave out {name} for the default"),
        }),
    }
}

/// Whether an output is the code's own doing. Code can swallow what a soft limit raises and end well, so the times that
/// were seen from outside count as well.
#[cfg(any(target_os = "linux", feature = "monty"))]
pub(super) fn would_repeat(output: &ToolOutput, cpu_seconds: f64, wall_seconds: f64) -> bool {
    matches!(output.status, OutputStatus::Ok | OutputStatus::Error)
        && output.cpu_ms < cpu_seconds * 1e3
        && output.wall_ms < wall_seconds * 1e3
}
