//! Watches a run: guards over its metrics, progress, resources of a phase, sinks for metrics.

pub(crate) mod excerpt;
pub mod guards;
pub(crate) mod logged;
pub(crate) mod phase;
pub mod progress;
pub(crate) mod sinks;

pub use phase::{Spent, processor_time};
