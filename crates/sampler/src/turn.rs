//! Turns to be sampled, and sampled turns.

use turnwise_trajectory::{Finish, TokenId};

use crate::rng::SequenceRng;

/// One sequence to continue.
pub struct GenerationRequest<'a> {
    /// Key of the sequence, the same in all its turns and unique among sequences.
    pub key: u64,
    /// All tokens so far. Tokens of earlier requests with this key aren't computed again.
    pub tokens: &'a [TokenId],
    /// At most this many tokens are sampled.
    pub max_new: usize,
    /// Random numbers of this turn.
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
