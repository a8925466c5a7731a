//! Lines that servers write besides their messages: for the run's log, and the last ones for an error.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of a line. A longer one is cut into several.
const LINE: u64 = 4096;
/// Lines that are kept until they are taken.
const KEPT: usize = 1000;
/// Lines that an error shows.
const SHOWN: usize = 3;

/// Collects the lines of all servers of one name.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// The name, in front of every line.
    name: String,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    lines: Vec<String>,
    left_out: usize,
}

impl Log {
    /// Returns the log of a server.
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.into(), kept: Mutex::default() }
    }

    /// Returns the lines since the last call, with a count of those for which there was no room.
    pub(crate) fn take(&self) -> Vec<String> {
        let Kept { mut lines, left_out } = std::mem::take(&mut *self.kept());
        if left_out > 0 {
            lines.push(format!("{}: {left_out} more lines", self.name));
        }
        lines
    }

    /// Adds a line.
    pub(crate) fn add(&self, line: &str) {
        let mut kept = self.kept();
        if kept.lines.len() < KEPT {
            let line = format!("{}: {line}", self.name);
            kept.lines.push(line);
        } else {
            kept.left_out += 1;
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds the last lines on the stderr of one server.
#[derive(Debug, Default)]
pub(crate) struct LastLines(Mutex<VecDeque<String>>);

impl LastLines {
    /// Reads stderr until it ends.
    pub(crate) fn read(&self, stderr: impl Read, log: &Log) {
        let (mut stderr, mut line) = (BufReader::new(stderr), Vec::new());
        while matches!((&mut stderr).take(LINE).read_until(b'\n', &mut line), Ok(1..)) {
            let shown = escaped(String::from_utf8_lossy(&line).trim_end());
            line.clear();
            if shown.is_empty() {
                continue;
            }
            log.add(&shown);
            let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if last.len() == SHOWN {
                last.pop_front();
            }
            last.push_back(shown);
        }
    }

    /// Returns the last lines, as the end of a message; empty if there are none.
    pub(crate) fn told(&self) -> String {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_empty() {
            return String::new();
        }
        let last: Vec<&str> = last.iter().map(String::as_str).collect();
        format!("; the end of its stderr: {}", last.join(" | "))
    }
}

/// Returns text whose control characters are escapes: they move cursors and forge lines.
pub(crate) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let reorders =
            matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if reorders || (c.is_control() && c != '\t') {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_in_length_and_number_and_hold_no_control_characters() {
        let (log, last) = (Log::new("tools.x"), LastLines::default());
        let text = format!("{}\n{}\u{1b}[2J\n", "x".repeat(3 * LINE as usize), "y\n".repeat(KEPT));
        last.read(text.as_bytes(), &log);
        assert_eq!(last.told(), "; the end of its stderr: y | y | \\u{1b}[2J");
        let lines = log.take();
        assert_eq!(lines.len(), KEPT + 1);
        assert!(lines.iter().all(|line| line.len() <= LINE as usize + 9));
        assert_eq!(lines[KEPT], "tools.x: 4 more lines");
        assert!(log.take().is_empty() && LastLines::default().told().is_empty());
    }
}
