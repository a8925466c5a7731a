//! A policy behind servers that take and give token ids: vLLM and SGLang.
//!
//! Such turns can be trained on: ids and log-probabilities are those of the engine, and every answer names
//! the version of its weights. A [`Fleet`] puts weights into the servers, and a [`TokenPolicy`] samples turns
//! from them. A server that breaks the contract ends the play, with advice. A server that fails costs a
//! retry, and at worst the trajectory.

mod description;
mod engine_name;
mod fleet;
mod hints;
mod policy;
mod probe;
mod protocol;
mod sglang;
mod turn;
mod vllm;

pub use engine_name::EngineName;
pub use fleet::{Fleet, Pushed, Servers};
pub use policy::{Stream, TokenPolicy};
pub use probe::{Gap, Logprobs, Probe};
pub use protocol::{Rule, SampledTurn};
pub use turn::TurnAsk;

/// Says why servers can't be used: what is wrong, and advice in a second line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ServerError(pub String);
