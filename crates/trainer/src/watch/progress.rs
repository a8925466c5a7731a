//! The interface for progress, independent of its display.

use turnwise_run::StepMetrics;

/// Receives the progress of a run. The binary draws bars or writes lines; [`Silent`] ignores it.
pub trait Progress: Send {
    /// Starts or resumes counting `name` up to `total`; later `advance` calls set its count. Other names keep
    /// their counts.
    fn phase(&mut self, name: &str, total: u64);

    /// Sets the count of the current phase to `done`.
    fn advance(&mut self, done: u64);

    /// Reports one finished line, for example a step with its reward.
    fn line(&mut self, text: &str);

    /// Reports a line of `metrics.jsonl`; a resumed run also reports its earlier lines. Most implementations
    /// ignore it.
    fn metrics(&mut self, _line: &StepMetrics) {}

    /// Reports one trajectory of the newest step as text. Most implementations ignore it.
    fn rollout(&mut self, _text: &str) {}
}

/// Ignores progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn phase(&mut self, _name: &str, _total: u64) {}

    fn advance(&mut self, _done: u64) {}

    fn line(&mut self, _text: &str) {}
}
