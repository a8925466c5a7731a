//! A turn as a policy samples it, before its text is parsed.

use crate::{Finish, TokenId};

/// Holds the tokens of one sampled turn.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Completion {
    /// Sampled tokens, the stop token included.
    pub tokens: Vec<TokenId>,
    /// One log-probability per token, in nats.
    pub logprobs: Vec<f32>,
    /// The reason for its end.
    pub finish: Finish,
    /// The version of the weights that sampled it: the number of optimizer updates before it.
    pub version: u64,
    /// Requests that failed before the one that a server answered; 0 for a model in this process.
    pub retries: u32,
}
