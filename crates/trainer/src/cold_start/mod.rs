//! The cold start: supervised fine-tuning on conversations or on an environment's demonstrations. It begins
//! from a model folder or from nothing.

mod beginning;
mod conversations;
mod preview;
pub(crate) mod run;
pub mod scratch;
pub mod sft;

pub use preview::{Preview, preview};
pub use run::{Learnt, cold_start};
