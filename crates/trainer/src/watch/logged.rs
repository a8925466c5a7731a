//! Writes progress to `log.txt` while passing it on.

use std::path::Path;

use turnwise_run::{Log, RunDirError, StepMetrics};

use crate::watch::progress::Progress;

/// Passes progress on, and writes its lines to the run's `log.txt`.
pub(crate) struct Logged<'a> {
    inner: &'a mut dyn Progress,
    log: Log,
}

impl<'a> Logged<'a> {
    /// Appends to `log.txt` of a run directory.
    pub(crate) fn new(inner: &'a mut dyn Progress, run: &Path) -> Result<Self, RunDirError> {
        Ok(Self { inner, log: Log::open(run)? })
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
        self.log.line(text);
        self.inner.line(text);
    }

    fn metrics(&mut self, line: &StepMetrics) {
        self.inner.metrics(line);
    }

    fn rollout(&mut self, text: &str) {
        self.inner.rollout(text);
    }
}
