//! The cold start: supervised fine-tuning on demonstrations, from a model folder or from nothing.

pub(crate) mod run;
pub mod scratch;
pub mod sft;

pub use run::cold_start;
