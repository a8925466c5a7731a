//! Turns to be sampled, and sampled turns.

use turnwise_trajectory::{Finish, TokenId};

use crate::rng::SequenceRng;
use crate::sampling::Likely;

/// Requests the continuation of one sequence.
pub struct GenerationRequest<'a> {
    /// Key of the sequence, the same in all its turns and unique among sequences.
    pub key: u64,
    /// All tokens so far. Tokens of earlier requests with this key aren't computed again.
    pub tokens: &'a [TokenId],
    /// Most tokens to sample.
    pub max_new: usize,
    /// Random numbers of this turn.
    pub rng: SequenceRng,
}

/// Shows the tokens of an unfinished turn so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampledSoFar<'a> {
    /// The tokens.
    pub tokens: &'a [TokenId],
    /// One log-probability per token, in nats, under the crate's rule.
    pub logprobs: &'a [f32],
    /// The likeliest tokens at each token, if they were asked for.
    pub likeliest: &'a [Vec<Likely>],
}

/// Holds a sampled turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// The tokens, the stop token included.
    pub tokens: Vec<TokenId>,
    /// One log-probability per token, in nats, under the crate's rule.
    pub logprobs: Vec<f32>,
    /// The likeliest tokens at each token, if they were asked for.
    pub likeliest: Vec<Vec<Likely>>,
    /// The reason for its end.
    pub finish: Finish,
}
