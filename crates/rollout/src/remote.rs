//! A policy behind a server that speaks the OpenAI chat protocol: vLLM, SGLang, llama.cpp, a hosted model.
//!
//! The server exchanges messages, and its tokens are not known here. A [`Transcript`] therefore replaces the
//! chat format: it gives every message one id, and the policy turns the ids of a context back into messages.
//! Such rollouts can be judged and read, but not trained on: [`without_tokens`] removes the ids again.
//!
//! An odd answer costs no other trajectory. Temporary faults are retried for a stated time. A full context
//! ends its trajectory at that limit; a turn without an answer is lost and counted. Only a server that
//! refuses every request ends a play.

mod answer;
mod call_text;
mod health;
mod policy;
mod request;
mod request_threads;
pub mod tokens;
mod transcript;

use std::time::Duration;

pub use policy::RemotePolicy;
pub use transcript::Transcript;

use turnwise_trajectory::Trajectory;

/// Describes a server and its sampling.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// The base, for example `http://127.0.0.1:8000/v1`.
    pub url: String,
    /// The model's name on the server.
    pub model: String,
    /// Bearer token of the requests.
    pub key: Option<String>,
    /// Temperature; 0 is greedy.
    pub temperature: f64,
    /// Cumulative probability of the kept tokens; 1 keeps all.
    pub top_p: f64,
    /// Seed of the play, from which each turn's seed is derived.
    pub seed: u64,
    /// Number of requests at once.
    pub parallel: usize,
    /// Longest wait for one answer.
    pub timeout: Duration,
    /// Longest time for retries of one turn after its first fault, with waits and answers.
    pub retry: Duration,
}

/// Removes token ids: texts, calls and outputs stay.
pub fn without_tokens(mut trajectory: Trajectory) -> Trajectory {
    trajectory.prompt.clear();
    for turn in &mut trajectory.turns {
        turn.tokens.clear();
        turn.logprobs.clear();
        turn.observation.clear();
    }
    trajectory
}
