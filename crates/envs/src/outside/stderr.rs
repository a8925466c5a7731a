//! Collects lines that processes write to stderr: all of them for the run's log, the last ones for an error.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Maximum of bytes in a line. A longer one is cut into several.
const LINE: u64 = 4096;
/// Maximum of lines between two readings.
const KEPT: usize = 1000;
/// Lines that an error shows.
const SHOWN: usize = 3;
/// Time that an error waits for the last lines of a process that has ended.
const PATIENCE: Duration = Duration::from_millis(300);

/// Collects the lines of all processes of an environment, or of a server of tools.
#[derive(Debug)]
pub struct Log {
    /// Their place in the run file.
    place: String,
    kept: Mutex<Kept>,
    /// Texts that no line shows.
    secrets: Mutex<Vec<String>>,
}

#[derive(Debug, Default)]
struct Kept {
    lines: Vec<String>,
    left_out: usize,
}

impl Log {
    /// Returns an empty log. `place` is the place in the run file.
    pub fn new(place: impl Into<String>) -> Self {
        Self { place: place.into(), kept: Mutex::default(), secrets: Mutex::default() }
    }

    /// Returns the place in the run file.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Returns the lines since the last call, with a count of those above the maximum.
    pub fn take(&self) -> Vec<String> {
        let Kept { mut lines, left_out } = std::mem::take(&mut *self.kept());
        if left_out > 0 {
            lines.push(format!("{}: {left_out} more lines", self.place));
        }
        lines
    }

    /// Adds a line, or counts it when the log is full.
    pub fn add(&self, line: String) {
        let mut kept = self.kept();
        if kept.lines.len() < KEPT {
            kept.lines.push(line);
        } else {
            kept.left_out += 1;
        }
    }

    /// Keeps a secret out of all lines until the guard is dropped.
    pub fn hide(self: &Arc<Self>, secret: &str) -> Hidden {
        self.secrets().push(secret.into());
        Hidden { log: self.clone(), secret: secret.into() }
    }

    /// Returns a text without the secrets that are kept out of the lines.
    pub fn without_secrets(&self, mut text: String) -> String {
        for secret in self.secrets().iter().filter(|secret| !secret.is_empty()) {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), "[key]");
            }
        }
        text
    }

    fn secrets(&self) -> MutexGuard<'_, Vec<String>> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a secret out of a log while it lives.
#[derive(Debug)]
pub struct Hidden {
    log: Arc<Log>,
    secret: String,
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let mut secrets = self.log.secrets();
        if let Some(at) = secrets.iter().position(|secret| *secret == self.secret) {
            secrets.swap_remove(at);
        }
    }
}

/// Holds the last lines of one process.
#[derive(Debug, Default)]
pub struct Stderr {
    last: Mutex<VecDeque<String>>,
    ended: AtomicBool,
}

impl Stderr {
    /// Reads stderr in a thread until it ends. `name` is the process's name in the log.
    pub fn read(stderr: impl Read + Send + 'static, name: String, log: Arc<Log>) -> Arc<Self> {
        let said = Arc::new(Self::default());
        let shared = said.clone();
        std::thread::spawn(move || {
            let mut stderr = BufReader::new(stderr);
            let mut line = Vec::new();
            while matches!((&mut stderr).take(LINE).read_until(b'\n', &mut line), Ok(1..)) {
                let shown = log.without_secrets(shown(&String::from_utf8_lossy(&line)));
                line.clear();
                if !shown.is_empty() {
                    log.add(format!("{name}: {shown}"));
                    shared.add(shown);
                }
            }
            shared.ended.store(true, Ordering::Release);
        });
        said
    }

    fn add(&self, line: String) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == SHOWN {
            last.pop_front();
        }
        last.push_back(line);
    }

    /// Returns the last lines of a process that has ended, for an error. Empty if it wrote none.
    pub fn last(&self) -> String {
        let start = Instant::now();
        // A child process that it left behind may hold its stderr open.
        while !self.ended.load(Ordering::Acquire) && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_empty() {
            return String::new();
        }
        let last: Vec<&str> = last.iter().map(String::as_str).collect();
        format!("; the end of its stderr: {}", last.join(" | "))
    }
}

/// Returns a line as a terminal would leave it, with control characters as escapes.
fn shown(line: &str) -> String {
    let line = line.trim_end();
    // A progress bar is drawn over and over.
    escaped(line.rsplit('\r').next().unwrap_or(line))
}

/// Returns text with control characters as escapes, because they move cursors and forge lines.
pub fn escaped(text: &str) -> String {
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
        for (line, expect) in [
            ("plain\n", "plain"),
            ("10 %\r20 %\r\n", "20 %"),
            ("\u{1b}[2Jgone\u{7}", "\\u{1b}[2Jgone\\u{7}"),
            ("a\tb\u{202e}c", "a\tb\\u{202e}c"),
        ] {
            assert_eq!(shown(line), expect);
        }
        let log = Arc::new(Log::new("env.process"));
        let text = format!("{}\n{}", "x".repeat(3 * LINE as usize), "y\n".repeat(KEPT));
        let said = Stderr::read(std::io::Cursor::new(text.into_bytes()), "env".into(), log.clone());
        assert_eq!(said.last(), "; the end of its stderr: y | y | y");
        let lines = log.take();
        assert_eq!(lines.len(), KEPT + 1);
        assert!(lines.iter().all(|line| line.len() <= LINE as usize + 5));
        assert_eq!(lines[KEPT], "env.process: 3 more lines");
        assert!(log.take().is_empty());
    }

    #[test]
    fn a_secret_is_in_no_line_while_it_is_hidden() {
        let log = Arc::new(Log::new("env.agent"));
        let said = |text: &'static str| {
            let said = Stderr::read(std::io::Cursor::new(text.as_bytes()), "p".into(), log.clone()).last();
            (log.take().concat(), said)
        };
        let hidden = log.hide("the-key");
        let expect =
            ("p: Bearer [key], [key]".to_string(), "; the end of its stderr: Bearer [key], [key]".into());
        assert_eq!(said("Bearer the-key, the-key\n"), expect);
        assert_eq!(log.without_secrets("no key".into()), "no key");
        drop(hidden);
        assert_eq!(said("the-key\n").0, "p: the-key");
    }
}
