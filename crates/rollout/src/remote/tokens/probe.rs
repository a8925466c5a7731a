//! Compares log-probabilities of servers with the trainer's, after every push of weights.
//!
//! A push that is answered with 200 may still leave old weights in place: packed heads, caches of prefixes,
//! equal paths. Only numbers show it.

use turnwise_trajectory::TokenId;

use super::fleet::Fleet;
use super::protocol::SampledTurn;
use super::turn::TurnAsk;
use super::{Rule, ServerError};

/// Computes the trainer's log-probabilities of `sampled` after `context`, at a temperature.
pub type Logprobs<'a> = dyn Fn(&[TokenId], &[TokenId], f64) -> Vec<f32> + Sync + 'a;

/// Holds what a probe asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Contexts, each of which is asked once.
    pub contexts: Vec<Vec<TokenId>>,
    /// Tokens that each answer has.
    pub tokens: usize,
    /// The sampling.
    pub rule: Rule,
}

/// Holds the largest difference of a probe, and where it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Gap {
    /// The server.
    pub url: String,
    /// Largest difference of two log-probabilities, in nats.
    pub nats: f64,
    /// The largest difference to the trainer's at temperature 1.
    pub unscaled: f64,
}

/// Seed of a probe's samples.
const SEED: u64 = 7;

impl Probe {
    /// Samples from every server and compares. Returns the largest difference of all.
    ///
    /// # Errors
    /// If a server doesn't answer, or breaks the contract.
    pub fn run(&self, fleet: &Fleet, expected: &Logprobs<'_>) -> Result<Gap, ServerError> {
        let mut worst = Gap { url: String::new(), nats: -1.0, unscaled: 0.0 };
        for context in &self.contexts {
            let ask =
                TurnAsk { tokens: context, max_new: self.tokens, rule: self.rule, seed: SEED, stop: &[] };
            let answers = fleet.each(&ask)?;
            for (url, SampledTurn { tokens, logprobs, .. }) in answers {
                let gap = |temperature: f64| {
                    let expected = expected(context, &tokens, temperature);
                    let differences = expected.iter().zip(&logprobs);
                    differences.map(|(a, b)| f64::from((a - b).abs())).fold(0.0, nan_wins)
                };
                let nats = gap(self.rule.temperature);
                if nats > worst.nats || nats.is_nan() {
                    worst = Gap { url: url.into(), nats, unscaled: gap(1.0) };
                }
            }
        }
        Ok(worst)
    }
}

/// Returns the larger number, or NaN if one of them is.
fn nan_wins(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}
