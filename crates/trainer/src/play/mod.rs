//! From tasks to judged trajectories: the local model as a policy, what it plays with, held-out evaluation.

pub(crate) mod cache_budget;
pub(crate) mod evaluate;
pub(crate) mod judged;
pub(crate) mod losses;
pub(crate) mod order;
pub(crate) mod policy;
pub(crate) mod rollouts;
pub(crate) mod setup;

pub use cache_budget::CacheBudget;
pub use evaluate::{Evaluation, Keep, Trial, evaluate};
pub use policy::{ModelPolicy, generator};
pub use rollouts::Rollouts;
pub use setup::{Setup, sampling, tokenizer};
