//! `log.txt`: the messages of a run, with the time.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use jiff::Timestamp;

use crate::error::RunDirError;

/// Appends to the log of a run.
#[derive(Debug)]
pub struct Log {
    file: File,
}

impl Log {
    /// Opens `log.txt` of a run directory.
    ///
    /// # Errors
    /// The system's, with the file.
    pub fn open(run: &Path) -> Result<Self, RunDirError> {
        let path = run.join("log.txt");
        match turnwise_files::own::append(&path) {
            Ok(file) => Ok(Self { file }),
            Err(source) => Err(RunDirError::Write { path, source }),
        }
    }

    /// Appends a line with the time in front of it.
    pub fn line(&mut self, text: &str) {
        // A log that can't be written doesn't stop the run, which doesn't need it.
        let _ = writeln!(self.file, "{:.0} {}", Timestamp::now(), shown(text));
    }
}

/// Returns text without control characters, which would move the cursor of whoever reads the log. Further
/// lines are indented, so that no text of others looks like a line of the log.
fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            shown.push_str(if line.starts_with("  ") { "\n" } else { "\n  " });
        }
        for c in line.chars() {
            let reorders =
                matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if reorders || (c.is_control() && c != '\t') {
                shown.extend(c.escape_unicode());
            } else {
                shown.push(c);
            }
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_one_entry_and_moves_no_cursor() {
        let forged = "task \u{1b}[2J\u{202e}\r, gone\n2026-11-29T00:00:00Z finished\n  hint: x\ty";
        let expect = "task \\u{1b}[2J\\u{202e}\\u{d}, gone\n  2026-11-29T00:00:00Z finished\n  hint: x\ty";
        assert_eq!(shown(forged), expect);
        assert_eq!(shown("plain é"), "plain é");
    }

    #[test]
    fn lines_of_several_lives_follow_each_other() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["one", "two"] {
            Log::open(folder.path()).unwrap().line(text);
        }
        let text = std::fs::read_to_string(folder.path().join("log.txt")).unwrap();
        // 2026-01-31T23:59:59Z
        assert!(text.lines().all(|line| line.find("Z ") == Some(19)), "{text}");
        let lines: Vec<&str> = text.lines().map(|line| line.split_once("Z ").unwrap().1).collect();
        assert_eq!(lines, ["one", "two"]);
    }
}
