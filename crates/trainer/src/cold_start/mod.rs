//! The cold start: supervised fine-tuning on demonstrations, from a model folder or from nothing.

pub mod runs;
pub mod scratch;
pub mod sft;
