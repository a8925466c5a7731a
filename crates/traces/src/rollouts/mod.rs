//! Rollouts of a run: what `turnwise replay` and `turnwise score` read.

mod read;
mod write;

pub(crate) use read::read;
pub(crate) use write::groups;
