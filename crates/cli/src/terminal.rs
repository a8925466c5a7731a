//! Text for a reader: on stderr, and of models and tools on stdout. Control characters are shown, never sent.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// Bytes that a pipe takes without blocking when it takes any (POSIX: `PIPE_BUF` is at least 512; Linux: 4096).
const PIECE: usize = 512;
/// Time that the last words of a command wait for a reader who has stopped reading.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether stderr is a terminal that can move its cursor.
pub(crate) fn draws() -> bool {
    io::stderr().is_terminal() && !is_dumb()
}

/// Whether `TERM` names a terminal without cursor movement, or none.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

/// Writes lines of a run's log to stderr. Drops them if nobody reads: a log must not stop a run.
pub(crate) fn log(text: &str) {
    to_stderr(&format!("{text}\n"), Duration::ZERO);
}

/// Writes the result of a command to stderr: a table, or why it failed.
pub(crate) fn conclude(text: &str) {
    to_stderr(text, PATIENCE);
}

/// Writes text of a model or a tool to stdout and flushes it. A terminal gets no control characters.
pub(crate) fn foreign(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let text = if stdout.is_terminal() { visible(text) } else { text.into() };
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// The text with every control character but line break and tab spelled out, as `\u{1b}`: sequences that move the
/// cursor, set a title or hide text, and those that reorder it (Unicode's bidirectional controls).
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_control) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_control(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown.into()
}

fn is_control(c: char) -> bool {
    let reorders = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    reorders || (c.is_control() && c != '\n' && c != '\t')
}

/// Writes to stderr what its reader takes within the time. With stderr closed there is nobody to tell.
fn to_stderr(text: &str, patience: Duration) {
    let text = visible(text);
    let mut stderr = io::stderr().lock();
    if stderr.is_terminal() {
        let _ = stderr.write_all(text.as_bytes());
        return;
    }
    for piece in text.as_bytes().chunks(PIECE) {
        if !takes(&stderr, patience) || stderr.write_all(piece).is_err() {
            return;
        }
    }
}

#[cfg(unix)]
fn takes(stderr: &io::StderrLock<'_>, patience: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: 0 };
    let mut wanted = [PollFd::new(stderr, PollFlags::OUT)];
    poll(&mut wanted, Some(&timeout)).is_ok_and(|ready| ready > 0)
}

#[cfg(not(unix))]
fn takes(_: &io::StderrLock<'_>, _: Duration) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_spelled_out() {
        let check = |text: &str, expect: &str| assert_eq!(visible(text), expect);
        check("a\tb\nc é 漢 🙂", "a\tb\nc é 漢 🙂");
        check("\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}");
        check("\x1b[2J\r\x08\x7f", "\\u{1b}[2J\\u{d}\\u{8}\\u{7f}");
        check("\u{9b}31m", "\\u{9b}31m");
        check("\u{202e}txt.exe", "\\u{202e}txt.exe");
        assert!(matches!(visible("plain"), Cow::Borrowed(_)), "nothing is copied in vain");
    }
}
