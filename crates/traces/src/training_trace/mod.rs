//! `TrainingTrace` of OpenEnv, version 1: the calls of one episode with their masks.
//!
//! OpenEnv gives rewards apart from a trace. Ours are in the metadata of each turn, under `turnwise`.

mod read;
mod write;

pub(crate) use read::read;
pub(crate) use write::Written;

/// The version of the format.
const VERSION: u64 = 1;
