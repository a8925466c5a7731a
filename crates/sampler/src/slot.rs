//! Holds a sequence with a cache, and its unfinished turn.

use rand::RngExt;
use turnwise_model::{Decoded, Draw};
use turnwise_trajectory::{Finish, TokenId};

use crate::rng::SequenceRng;
use crate::sampling::{Likely, LogitsError, SampledToken, Sampling, sample_beside};
use crate::stop::StopRule;
use crate::turn::{Generation, GenerationRequest, SampledSoFar};

/// A sampled token, and the likeliest tokens beside it.
pub(crate) type Next = (SampledToken, Vec<Likely>);

/// Holds an unfinished turn.
pub(crate) struct Pending {
    /// The context of the turn, and the tokens sampled after it.
    tokens: Vec<TokenId>,
    given: usize,
    max_new: usize,
    rng: SequenceRng,
    sampling: Sampling,
    logprobs: Vec<f32>,
    /// The number of likeliest tokens that are told at each token.
    beside: usize,
    likeliest: Vec<Vec<Likely>>,
}

impl Pending {
    pub(crate) fn new(request: GenerationRequest<'_>, sampling: Sampling, beside: usize) -> Self {
        let GenerationRequest { tokens, max_new, rng, .. } = request;
        let (logprobs, likeliest) = (Vec::new(), Vec::new());
        let given = tokens.len();
        Self { tokens: tokens.to_vec(), given, max_new, rng, sampling, logprobs, beside, likeliest }
    }

    pub(crate) fn tokens(&self) -> &[TokenId] {
        &self.tokens
    }

    /// Returns the tokens sampled so far, their log-probabilities, and the likeliest tokens beside them.
    pub(crate) fn sampled(&self) -> SampledSoFar<'_> {
        let (logprobs, likeliest) = (&self.logprobs, &self.likeliest);
        SampledSoFar { tokens: &self.tokens[self.given..], logprobs, likeliest }
    }

    /// Returns how a device draws the next token, if it can: from the whole distribution, with no others told
    /// beside it. The stream of random numbers stays where it is.
    pub(crate) fn draw(&self) -> Option<Draw> {
        let how = &self.sampling;
        let drawn = self.max_new > 0 && self.beside == 0 && how.is_plain();
        let uniform = || (!how.is_greedy()).then(|| self.rng.clone().random::<f64>());
        drawn.then(|| Draw { uniform: uniform(), factor: how.factor() })
    }

    /// Takes the next token, or samples it from the logits after the last one; none if no token may follow.
    ///
    /// Tokens of several turns can be sampled at the same time.
    ///
    /// # Errors
    /// If no token can be sampled.
    pub(crate) fn next(&mut self, decoded: Decoded) -> Result<Option<Next>, LogitsError> {
        if self.max_new == 0 {
            return Ok(None);
        }
        match decoded {
            Decoded::Logits(logits) => {
                sample_beside(logits, &self.sampling, self.beside, &mut self.rng).map(Some)
            }
            Decoded::Drawn { token, logprob } => {
                if !self.sampling.is_greedy() {
                    // The number at which the token was drawn.
                    self.rng.random::<f64>();
                }
                Ok(Some((SampledToken { token, logprob }, Vec::new())))
            }
        }
    }

    /// Appends the next token. Returns why the turn ends, if it does.
    pub(crate) fn go_on(
        &mut self,
        next: Option<Next>,
        stop: &StopRule<'_>,
        ends: &mut dyn FnMut(TokenId) -> bool,
    ) -> Option<Finish> {
        let Some((drawn, likeliest)) = next else { return Some(Finish::Length) };
        if self.beside > 0 {
            self.likeliest.push(likeliest);
        }
        self.tokens.push(drawn.token);
        self.logprobs.push(drawn.logprob);
        let finish = stop.check(&self.tokens[self.given..], self.max_new);
        // A turn that ends by itself isn't stopped.
        let stopped = ends(drawn.token).then_some(Finish::StopString);
        finish.filter(|finish| *finish == Finish::EndOfTurn).or(stopped).or(finish)
    }

    pub(crate) fn generation(mut self, finish: Finish) -> Generation {
        let tokens = self.tokens.split_off(self.given);
        Generation { tokens, logprobs: self.logprobs, likeliest: self.likeliest, finish }
    }
}

/// Holds a sequence and the tokens whose keys and values are in its slot of the cache.
pub(crate) struct Slot {
    pub(crate) key: u64,
    pub(crate) held: Vec<TokenId>,
    pub(crate) turn: Option<Pending>,
}

impl Slot {
    /// Counts the tokens of a sequence that this slot can give to another one. At least one token must be fed
    /// there, since sampling starts from its scores.
    pub(crate) fn common(&self, tokens: &[TokenId]) -> usize {
        common(&self.held, tokens).min(tokens.len() - 1)
    }

    /// Returns the tokens of its turn that the cache lacks.
    pub(crate) fn rest(&self) -> &[TokenId] {
        self.turn.as_ref().map_or(&[], |turn| &turn.tokens[self.held.len()..])
    }
}

/// Returns the length of the common beginning.
pub(crate) fn common(a: &[TokenId], b: &[TokenId]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
