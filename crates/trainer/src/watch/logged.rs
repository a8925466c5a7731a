//! Writes progress to `log.txt` while passing it on.

use turnwise_run::{Log, StepMetrics};

use crate::watch::progress::Progress;

/// Passes progress on, and writes its lines to the run's `log.txt`.
pub(crate) struct Logged<'a> {
    inner: &'a mut dyn Progress,
    /// None on ranks other than 0.
    log: Option<Log>,
}

impl<'a> Logged<'a> {
    /// Appends to a log, if there is one.
    pub(crate) fn new(inner: &'a mut dyn Progress, log: Option<Log>) -> Self {
        Self { inner, log }
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
        if let Some(log) = &mut self.log {
            log.line(text);
        }
        self.inner.line(text);
    }

    fn metrics(&mut self, line: &StepMetrics) {
        self.inner.metrics(line);
    }

    fn rollout(&mut self, text: &str) {
        self.inner.rollout(text);
    }
}
