//! `log.txt`: what a run said, with the time, for those who weren't watching.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use jiff::Timestamp;

use crate::json_lines::Record;
use crate::run_dir::RunDirError;
use crate::watch::progress::Progress;

/// Passes everything on, and writes lines to the run's `log.txt` as well.
pub(crate) struct Logged<'a> {
    inner: &'a mut dyn Progress,
    file: File,
}

impl<'a> Logged<'a> {
    /// Appends to `log.txt` of a run directory.
    pub(crate) fn new(inner: &'a mut dyn Progress, run: &Path) -> Result<Self, RunDirError> {
        let path = run.join("log.txt");
        match turnwise_files::own::append(&path) {
            Ok(file) => Ok(Self { inner, file }),
            Err(source) => Err(RunDirError::Write { path, source }),
        }
    }
}

impl Progress for Logged<'_> {
    fn phase(&mut self, name: &str, total: u64) {
        self.inner.phase(name, total);
    }

    fn advance(&mut self, done: u64) {
        self.inner.advance(done);
    }

    fn line(&mut self, text: &str) {
        // A log that can't be written stops nothing: what the run needs is written elsewhere.
        let _ = writeln!(self.file, "{:.0} {text}", Timestamp::now());
        self.inner.line(text);
    }

    fn metrics(&mut self, line: &Record) {
        self.inner.metrics(line);
    }

    fn rollout(&mut self, text: &str) {
        self.inner.rollout(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::progress::Silent;

    #[test]
    fn lines_of_several_lives_follow_each_other() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["one", "two"] {
            Logged::new(&mut Silent, folder.path()).unwrap().line(text);
        }
        let text = std::fs::read_to_string(folder.path().join("log.txt")).unwrap();
        // 2026-01-31T23:59:59Z
        assert!(text.lines().all(|line| line.find("Z ") == Some(19)), "{text}");
        let lines: Vec<&str> = text.lines().map(|line| line.split_once("Z ").unwrap().1).collect();
        assert_eq!(lines, ["one", "two"]);
    }
}
