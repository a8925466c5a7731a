//! Writes text for a reader: on stderr, and of models and tools on stdout. Control characters are shown,
//! never sent.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::time::{Duration, Instant};

/// Number of notes that wait for a reader of stderr; more are dropped.
const WAITING: usize = 256;
/// Time that the last messages of a command wait for a reader that has stopped.
const PATIENCE: Duration = Duration::from_secs(1);

/// Returns whether stderr is a terminal that can move its cursor.
pub(crate) fn draws() -> bool {
    io::stderr().is_terminal() && !is_dumb()
}

/// Returns whether `TERM` names a terminal without cursor movement, or none.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

/// Writes lines of a run's log to stderr. Drops them if the reader is slow: a log must not stop a run.
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

/// Returns the text with every control character but line break and tab written as `\u{1b}`. That includes
/// sequences that move the cursor, set a title or hide text, and Unicode's bidirectional controls, which
/// reorder it.
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

pub(crate) fn is_control(c: char) -> bool {
    let reorders = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    reorders || (c.is_control() && c != '\n' && c != '\t')
}

/// Waits a moment until stderr has been read.
pub(crate) fn flush() {
    let (done, waits) = mpsc::sync_channel(1);
    if offer(Note::Flush(done), PATIENCE) {
        let _ = waits.recv_timeout(PATIENCE);
    }
}

/// Writes to stderr, if its reader makes room within the time. A closed stderr is ignored.
fn to_stderr(text: &str, patience: Duration) {
    let text = visible(text);
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        let _ = stderr.write_all(text.as_bytes());
    } else {
        offer(Note::Text(text.into_owned()), patience);
    }
}

enum Note {
    Text(String),
    Flush(SyncSender<()>),
}

/// Sends a note to the thread that writes to stderr, unless its queue stays full. Returns whether the queue
/// took it.
fn offer(mut note: Note, patience: Duration) -> bool {
    static QUEUE: OnceLock<SyncSender<Note>> = OnceLock::new();
    let queue = QUEUE.get_or_init(|| {
        let (queue, notes) = mpsc::sync_channel(WAITING);
        std::thread::spawn(move || write_all(&notes));
        queue
    });
    let start = Instant::now();
    loop {
        match queue.try_send(note) {
            Ok(()) => return true,
            Err(TrySendError::Full(back)) if start.elapsed() < patience => note = back,
            Err(_) => return false,
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn write_all(notes: &Receiver<Note>) {
    for note in notes {
        match note {
            Note::Text(text) => _ = io::stderr().write_all(text.as_bytes()),
            Note::Flush(done) => _ = done.send(()),
        }
    }
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
