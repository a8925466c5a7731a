//! A policy behind a server that speaks the OpenAI chat protocol: vLLM, SGLang, llama.cpp, a hosted model.
//!
//! The server reads and writes messages, and its tokens are not known here. A [`Transcript`] therefore stands
//! in for the chat format: it gives every message one id, and the policy turns the ids of a context back into
//! messages. Such rollouts can be judged and read, but not trained on: [`without_tokens`] removes the ids
//! again.
//!
//! An odd answer costs no other trajectory. Faults that pass are tried again for a stated time; a full
//! context ends its trajectory as one at its limit; what can't be had is lost and counted. Only a server that
//! refuses every request ends a play.

mod answer;
mod call_text;
mod health;
mod policy;
mod request;
mod transcript;

use std::time::Duration;

pub use policy::RemotePolicy;
pub use transcript::Transcript;

use turnwise_trajectory::Trajectory;

/// A server and how it samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// The base, for example `http://127.0.0.1:8000/v1`.
    pub url: String,
    /// The model's name there.
    pub model: String,
    /// Sent as a bearer token.
    pub key: Option<String>,
    /// Temperature; 0 is greedy.
    pub temperature: f64,
    /// Cumulative probability that is kept; 1 keeps all.
    pub top_p: f64,
    /// Seed of the play. Each turn of each trajectory gets its own.
    pub seed: u64,
    /// Requests at once.
    pub parallel: usize,
    /// Longest wait for one answer.
    pub timeout: Duration,
    /// Longest time for trying one turn again, counted from its first fault: waits and answers included.
    pub retry: Duration,
}

/// Returns the trajectory as far as it is known: texts, calls and outputs.
pub fn without_tokens(mut trajectory: Trajectory) -> Trajectory {
    trajectory.prompt.clear();
    for turn in &mut trajectory.turns {
        turn.tokens.clear();
        turn.logprobs.clear();
        turn.observation.clear();
    }
    trajectory
}
