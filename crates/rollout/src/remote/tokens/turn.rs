//! One turn asked of a server, the rules that its answer keeps, and what is wrong if there is none.

use turnwise_http::{Failure, Refusal};
use turnwise_trajectory::TokenId;

use super::protocol::SampledTurn;
use super::{Rule, ServerError, hints};

/// Asks for one turn, without the names of model and weights.
#[derive(Debug, Clone, Copy)]
pub struct TurnAsk<'a> {
    /// All tokens before the turn.
    pub tokens: &'a [TokenId],
    /// Most tokens of the turn.
    pub max_new: usize,
    /// The sampling.
    pub rule: Rule,
    /// Seed of the turn, 31 bits.
    pub seed: u64,
    /// Tokens that end the turn.
    pub stop: &'a [TokenId],
}

impl TurnAsk<'_> {
    /// Checks an answer: it is sampled with the weights `version` and keeps what was asked for.
    pub(super) fn check(
        &self,
        sampled: &SampledTurn,
        version: &str,
        vocabulary: usize,
    ) -> Result<(), Trouble> {
        match sampled.versions.iter().find(|named| *named != version) {
            Some(other) => return Err(Trouble::Stale(other.clone())),
            None if sampled.versions.is_empty() => {
                let told = "the answer names no version of its weights";
                return Err(Trouble::Wrong(format!("{told}\n  hint: {}", hints::NO_VERSION)));
            }
            None => {}
        }
        let (tokens, last) = (&sampled.tokens, sampled.tokens.last());
        if let Some(token) = tokens.iter().find(|token| **token as usize >= vocabulary) {
            let told = format!("the token {token} isn't in the model's vocabulary of {vocabulary}");
            return Err(Trouble::Wrong(format!("{told}\n  hint: {}", hints::OTHER_MODEL)));
        }
        if tokens.len() > self.max_new {
            let told = format!("{} tokens where {} were asked for at most", tokens.len(), self.max_new);
            return Err(Trouble::Wrong(told));
        }
        if sampled.cut && tokens.len() < self.max_new {
            let told = format!("the server cut a turn after {} of {} tokens", tokens.len(), self.max_new);
            return Err(Trouble::Wrong(format!("{told}\n  hint: {}", hints::SHORT)));
        }
        if let Some(last) = last.filter(|last| !sampled.cut && !self.stop.contains(last)) {
            let told = format!("the server ended a turn at token {last}, which is no stop token");
            return Err(Trouble::Wrong(format!("{told}\n  hint: {}", hints::ODD_END)));
        }
        Ok(())
    }
}

/// Says why a server gave no turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The request failed, with the refusal if there was one.
    Failed(Failure, Option<Refusal>),
    /// The sequence doesn't fit into the server's context.
    Full,
    /// The server doesn't keep the contract.
    Wrong(String),
    /// The server has other weights: the name of their version.
    Stale(String),
}

impl Trouble {
    /// Returns it as an error of a server.
    pub(super) fn of(self, url: &str) -> ServerError {
        ServerError(match self {
            Self::Failed(failure, refusal) => {
                let hint = hints::unanswered(&failure, refusal.map(|refusal| refusal.status));
                format!("{url}: {}\n  hint: {hint}", failure.reason())
            }
            Self::Full => format!("{url}: the prompt doesn't fit\n  hint: {}", hints::SHORT),
            Self::Wrong(reason) => format!("{url}: {reason}"),
            Self::Stale(other) => {
                format!("{url}: it answers with the weights {other:?}\n  hint: {}", hints::OTHER_RUN)
            }
        })
    }
}
