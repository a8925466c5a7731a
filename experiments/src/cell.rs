//! Names the runs of an experiment.

/// A run of a grid.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    pub(crate) family: String,
    pub(crate) method: String,
    pub(crate) seed: u64,
    pub(crate) rate: f64,
}

/// The name under which the cold start itself is recorded.
pub(crate) const COLD_START: &str = "cold_start";

impl Cell {
    /// Names the run and its folder.
    pub(crate) fn name(&self) -> String {
        let Self { family, method, seed, rate } = self;
        format!("{family}-{method}-{seed}-{rate:e}")
    }
}
