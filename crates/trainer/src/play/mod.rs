//! Plays tasks and judges trajectories: the local model as a policy, its setup, held-out evaluation.

pub(crate) mod agents;
pub(crate) mod cache_budget;
pub(crate) mod evaluate;
mod evaluate_agents;
pub(crate) mod judged;
pub(crate) mod lost_rollouts;
mod offer;
pub(crate) mod policy;
mod served;
pub(crate) mod servers;
pub(crate) mod setup;
pub(crate) mod source;

pub use cache_budget::CacheBudget;
pub use evaluate::{Keep, Trial, evaluate, evaluate_on};
pub use evaluate_agents::evaluate_agents;
pub use offer::Offer;
pub use policy::{ModelPolicy, check_precision, generator, generator_in};
pub use served::ServedModel;
pub use servers::RunServers;
pub use setup::{Setup, executor, sampling, tokenizer};
pub use source::{Play, RolloutSource};
