//! How a run tells its progress, without knowing who listens.

use turnwise_run::StepMetrics;

/// Hears how far a run is. The binary draws bars or writes lines; a library user may listen to nothing: [`Silent`].
pub trait Progress: Send {
    /// From here on, `advance` counts `name` up to `total`. A name that was used before goes on or starts over,
    /// depending on what `advance` says next; other names keep where they are.
    fn phase(&mut self, name: &str, total: u64);

    /// So many of the current phase are done.
    fn advance(&mut self, done: u64);

    /// One finished line, for example a step with its reward.
    fn line(&mut self, text: &str);

    /// A line of `metrics.jsonl`; when a run goes on, those from before the stop as well. Most don't listen to this.
    fn metrics(&mut self, _line: &StepMetrics) {}

    /// One trajectory of the newest step as text. Most don't listen to this either.
    fn rollout(&mut self, _text: &str) {}
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn phase(&mut self, _name: &str, _total: u64) {}

    fn advance(&mut self, _done: u64) {}

    fn line(&mut self, _text: &str) {}
}
