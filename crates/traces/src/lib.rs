//! Converts traces of agents: the exact tokens of every call, in the formats in which programs keep them.
//!
//! | format | file | reads | writes |
//! |---|---|---|---|
//! | sessions of `turnwise serve --record` | `session.rs` | yes | |
//! | rollouts of a run, for `replay` and `score` | `rollouts/` | yes | yes |
//! | `TrainingTrace` of OpenEnv, version 1 | `training_trace/` | yes | yes |
//! | ATIF of Harbor, versions 1.0 to 1.8 | `atif/` | yes | 1.7 |
//!
//! Every format becomes [`Trace`]: the calls of one attempt at a task. Each has its whole prompt, its sampled
//! tokens and their log-probabilities. A call whose prompt begins with all that an earlier call read and
//! sampled continues it; any other call begins another sequence of the same trajectory. Nothing is tokenised.
//! A file without the exact tokens or their log-probabilities is refused, with the place and the key.
//!
//! A call that other formats have no place for keeps the rest in a note: rewards, the call that it
//! continues, why it ended.

mod atif;
mod document;
mod error;
mod exact;
mod judged;
mod note;
mod rollouts;
mod session;
mod trace;
mod traces;
mod training_trace;
mod verdict;

pub use error::TraceError;
pub use trace::{Call, Trace};
pub use traces::Traces;
