//! A turn to be sampled, and a sampled one.

use turnwise_trajectory::{Finish, TokenId};

use crate::rng::SequenceRng;

/// One sequence to continue.
pub struct GenerationRequest<'a> {
    /// Names the sequence: the same over all its turns, unlike any other's.
    pub key: u64,
    /// All tokens so far. What an earlier request of the same key held and sampled is not computed again.
    pub tokens: &'a [TokenId],
    /// At most this many tokens are sampled.
    pub max_new: usize,
    /// The random numbers of this turn.
    pub rng: SequenceRng,
}

/// A sampled turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// The tokens, the stop token included.
    pub tokens: Vec<TokenId>,
    /// One log-probability per token.
    pub logprobs: Vec<f32>,
    /// Why it ended.
    pub finish: Finish,
}
