//! JSON on stdout.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::terminal::is_control;

/// Writes one value as a line and flushes, so that a reader at the other end of a pipe gets it at once.
pub(crate) fn line(value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_string(value)?;
    if io::stdout().is_terminal() {
        line = shown(&line);
    }
    line.push('\n');
    text(line.as_bytes())
}

/// Returns JSON of the same value without control characters, which would move the cursor of a terminal or
/// reorder its text. JSON itself escapes only the first 32.
fn shown(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if is_control(c) {
            // They are in texts only, and none needs two units.
            write!(shown, "\\u{:04x}", u32::from(c)).expect("a string takes any text");
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Writes bytes as they are.
pub(crate) fn text(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_the_same_value_without_control_characters() {
        let value = serde_json::json!({"a\u{9b}2J": ["\u{1b}[2J\n", "\u{7f}\u{202e}", "é 🙂 \\"]});
        let line = shown(&value.to_string());
        assert!(!line.contains(is_control), "{line}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), value);
    }
}
