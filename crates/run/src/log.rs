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
        let _ = writeln!(self.file, "{:.0} {text}", Timestamp::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
