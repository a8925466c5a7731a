//! Turns the end of a cell into what the trajectory records.

use serde::Deserialize;
use turnwise_trajectory::OutputStatus;

use super::config::PythonConfig;
use super::sys::Ended;
use crate::executor::capture::shortened;

/// The exit status of a child without memory for its answer (see `zygote.py`).
const OUT_OF_MEMORY_EXIT: i32 = 71;
/// The exit status of a child whose cell closed or broke what the child needs to go on.
const BROKEN_EXIT: i32 = 72;
/// A child adds this to the number of a signal that ends it, as shells do. The kernel doesn't end the first
/// process of a pid namespace by a signal.
const BY_SIGNAL: i32 = 128;
const OWN_TIMERS: [i32; 3] = [libc::SIGALRM, libc::SIGVTALRM, libc::SIGPROF];

/// Says how a cell ended.
#[derive(Debug)]
pub(super) enum End {
    /// The child answered, and lives.
    Answer(Answer),
    /// The child ended by itself.
    Ended(Ended),
    /// The supervisor killed it.
    Stopped(Hard),
}

/// Holds a child's report about a cell.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    /// The key of the answered cell, in hex.
    #[serde(default)]
    key: String,
    status: Said,
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

impl Answer {
    /// Returns whether it answers the cell of this key.
    pub(super) fn is_for(&self, key: [u8; 8]) -> bool {
        let nibble = |i: usize| char::from_digit(u32::from(key[i / 2] >> (4 * (1 - i % 2)) & 15), 16);
        self.key.len() == 16 && self.key.chars().enumerate().all(|(i, c)| nibble(i) == Some(c))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Ok,
    Error,
    Memory,
    Cpu,
    Wall,
}

/// Says why the supervisor killed a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hard {
    Cpu,
    Wall,
    Output,
    Protocol,
}

/// Bytes of output beyond which a child is killed. They would be dropped anyway, but draining them costs
/// time.
pub(super) const MAX_OUTPUT: u64 = 64 << 20;

/// Returns status, value and error line of a cell.
pub(super) fn judge(end: End, config: &PythonConfig) -> (OutputStatus, Option<String>, Option<String>) {
    use OutputStatus::{Error, Killed, Ok, OutOfMemory, Timeout};
    let cpu = || format!("Timed out: more than {} s of CPU time", config.cpu_seconds);
    let wall = || format!("Timed out: more than {} s of wall time", config.wall_seconds);
    let memory = || format!("MemoryError: more than {} MiB", config.memory_mib);
    match end {
        // An answer may be forged, so it gets no more room than the printed output.
        End::Answer(Answer { status, value, error, .. }) => match status {
            Said::Ok => (Ok, value.map(|value| shortened(value, config.output_bytes)), None),
            Said::Error => (
                Error,
                None,
                Some(error.map_or("Error".into(), |error| shortened(error, config.output_bytes))),
            ),
            Said::Memory => (OutOfMemory, None, Some(memory())),
            Said::Cpu => (Timeout, None, Some(cpu())),
            Said::Wall => (Timeout, None, Some(wall())),
        },
        End::Stopped(Hard::Cpu) | End::Ended(Ended::Signalled(libc::SIGXCPU)) => (Timeout, None, Some(cpu())),
        End::Stopped(Hard::Wall) => (Timeout, None, Some(wall())),
        End::Stopped(Hard::Output) => {
            (Killed, None, Some(format!("Killed: more than {} MiB of output", MAX_OUTPUT >> 20)))
        }
        End::Stopped(Hard::Protocol) => {
            (Killed, None, Some("Killed: the code wrote to the executor's channel".into()))
        }
        End::Ended(Ended::Exited(0)) => (Ok, None, None),
        End::Ended(Ended::Exited(OUT_OF_MEMORY_EXIT)) => (OutOfMemory, None, Some(memory())),
        End::Ended(Ended::Exited(BROKEN_EXIT)) => {
            (Error, None, Some("Exited: the code closed or broke the executor's channel".into()))
        }
        End::Ended(Ended::Exited(status)) if OWN_TIMERS.contains(&(status - BY_SIGNAL)) => (
            Killed,
            None,
            Some(format!("Killed by signal {}{}", status - BY_SIGNAL, name(status - BY_SIGNAL))),
        ),
        End::Ended(Ended::Exited(status)) => (Error, None, Some(format!("Exited with status {status}"))),
        End::Ended(Ended::Signalled(signal)) => {
            (Killed, None, Some(format!("Killed by signal {signal}{}", name(signal))))
        }
    }
}

fn name(signal: i32) -> &'static str {
    match signal {
        libc::SIGALRM => " (the code's own alarm)",
        libc::SIGVTALRM | libc::SIGPROF => " (the code's own timer)",
        libc::SIGSEGV => " (segmentation fault)",
        libc::SIGBUS => " (bus error)",
        libc::SIGFPE => " (arithmetic error)",
        libc::SIGILL => " (illegal instruction)",
        libc::SIGABRT => " (abort)",
        libc::SIGSYS => " (forbidden system call)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(end: End, status: OutputStatus, error: Option<&str>) {
        let (found, _, line) = judge(end, &PythonConfig::default());
        assert_eq!((found, line.as_deref()), (status, error));
    }

    #[test]
    fn a_forged_answer_has_no_more_room_than_output() {
        let config = PythonConfig { output_bytes: 5, ..PythonConfig::default() };
        let long = "é".repeat(100);
        for (status, place) in [("ok", 1), ("error", 2)] {
            let json = serde_json::json!({ "status": status, "value": long, "error": long }).to_string();
            let found = judge(End::Answer(serde_json::from_str(&json).unwrap()), &config);
            let text = if place == 1 { found.1 } else { found.2 };
            assert_eq!(text.as_deref(), Some("éé..."));
        }
    }

    #[test]
    fn every_end_has_a_status_and_a_line() {
        let said = |json: &str| End::Answer(serde_json::from_str(json).unwrap());
        check(said(r#"{"status":"ok"}"#), OutputStatus::Ok, None);
        check(
            said(r#"{"status":"error","error":"ValueError: no"}"#),
            OutputStatus::Error,
            Some("ValueError: no"),
        );
        check(
            said(r#"{"status":"cpu"}"#),
            OutputStatus::Timeout,
            Some("Timed out: more than 2 s of CPU time"),
        );
        check(
            End::Stopped(Hard::Wall),
            OutputStatus::Timeout,
            Some("Timed out: more than 10 s of wall time"),
        );
        check(
            said(r#"{"status":"memory"}"#),
            OutputStatus::OutOfMemory,
            Some("MemoryError: more than 512 MiB"),
        );
        check(End::Ended(Ended::Exited(3)), OutputStatus::Error, Some("Exited with status 3"));
        check(End::Ended(Ended::Exited(0)), OutputStatus::Ok, None);
        check(
            End::Ended(Ended::Signalled(libc::SIGSEGV)),
            OutputStatus::Killed,
            Some("Killed by signal 11 (segmentation fault)"),
        );
        let alarm = Some("Killed by signal 14 (the code's own alarm)");
        check(End::Ended(Ended::Exited(142)), OutputStatus::Killed, alarm);
        check(End::Ended(Ended::Signalled(14)), OutputStatus::Killed, alarm);
        check(End::Ended(Ended::Exited(143)), OutputStatus::Error, Some("Exited with status 143"));
    }
}
