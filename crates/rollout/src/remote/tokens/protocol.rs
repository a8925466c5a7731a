//! The interface of engines: one turn by token ids, and new weights.

use std::path::Path;

use serde_json::Value;
use turnwise_trajectory::TokenId;

use super::description::Description;

/// Holds the sampling of a play.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Divisor of the logits; 0 is greedy.
    pub temperature: f64,
    /// Keeps the likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keeps the smallest set of tokens that reaches this probability; 1 keeps all.
    pub top_p: f64,
    /// Keeps tokens at least this share as likely as the likeliest; 0 keeps all.
    pub min_p: f64,
}

impl Rule {
    /// Returns the rule that keeps all tokens.
    pub fn of(temperature: f64) -> Self {
        Self { temperature, top_k: 0, top_p: 1.0, min_p: 0.0 }
    }

    /// Returns whether some tokens are never sampled.
    pub fn truncates(self) -> bool {
        self.top_k > 0 || self.top_p < 1.0 || self.min_p > 0.0
    }
}

/// Holds one turn to be sampled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// Name of the model, or of its adapter.
    pub model: &'a str,
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
    /// Keeps prefixes of other weights apart, in caches that know no versions.
    pub salt: &'a str,
}

/// Holds a request: where it goes, and its body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    /// The path, with its query.
    pub(crate) path: String,
    pub(crate) body: Value,
}

impl Request {
    pub(crate) fn new(path: impl Into<String>, body: Value) -> Self {
        Self { path: path.into(), body }
    }
}

/// Holds a turn as an engine sampled it.
#[derive(Debug, Clone, PartialEq)]
pub struct SampledTurn {
    /// The tokens, the stop token included.
    pub tokens: Vec<TokenId>,
    /// One log-probability per token, in nats.
    pub logprobs: Vec<f32>,
    /// Whether the limit of tokens ended it.
    pub cut: bool,
    /// Versions of the weights that sampled it.
    pub versions: Vec<String>,
}

/// Says why an answer holds no turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Odd {
    /// A retry may succeed.
    Passing(String),
    /// The server doesn't keep the contract, whatever it is asked. A second line holds advice.
    Wrong(String),
}

/// Holds weights on disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OnDisk<'a> {
    /// The folder, seen by the servers under this path.
    pub(crate) folder: &'a Path,
    /// The version that answers shall name.
    pub(crate) version: &'a str,
    /// Whether the folder holds an adapter of the server's model.
    pub(crate) adapter: bool,
}

/// Speaks with one kind of engine. Its functions are pure: values in, values out.
pub(crate) trait Protocol: Sync + Send {
    /// Returns the path of turns.
    fn turns(&self) -> &'static str;

    /// Returns the body of a turn's request.
    fn sample(&self, ask: &Ask<'_>) -> Value;

    /// Reads the answer to it.
    fn read(&self, answer: &Value) -> Result<SampledTurn, Odd>;

    /// Returns the requests that put weights into a server, one after the other.
    fn push(&self, weights: OnDisk<'_>) -> Vec<Request>;

    /// Reads the answer to one of them.
    ///
    /// # Errors
    /// If it says that the weights weren't loaded.
    fn pushed(&self, answer: &str) -> Result<(), String>;

    /// Returns the path, by GET, of a description of the server.
    fn about(&self) -> &'static str;

    /// Reads that.
    fn described(&self, answer: &Value) -> Description;

    /// Returns advice on a refusal of a request: its path, status and text.
    fn advice(&self, path: &str, status: u16) -> Option<&'static str>;

    /// Whether log-probabilities keep the rule where tokens are truncated.
    fn keeps_rule_truncated(&self) -> bool;

    /// Whether a server takes an adapter without its model.
    fn takes_adapters(&self) -> bool;
}

/// Name of the adapter that a LoRA run keeps on its servers.
pub(crate) const ADAPTER: &str = "turnwise";

/// Pairs tokens with log-probabilities, `None` where the server named none or no finite number.
pub(crate) fn paired(
    tokens: &[TokenId],
    logprobs: Vec<(Option<TokenId>, Option<f64>)>,
    missing: &'static str,
) -> Result<Vec<f32>, Odd> {
    if tokens.is_empty() {
        return Err(Odd::Passing("the answer has no token".into()));
    }
    if logprobs.len() != tokens.len() {
        let (logprobs, tokens) = (logprobs.len(), tokens.len());
        return Err(Odd::Wrong(format!(
            "{logprobs} log-probabilities of {tokens} tokens\n  hint: {missing}"
        )));
    }
    let one = |(&token, (of, logprob)): (&TokenId, (Option<TokenId>, Option<f64>))| {
        if let Some(of) = of.filter(|of| *of != token) {
            let told = format!("a log-probability of token {of} beside the sampled token {token}");
            return Err(Odd::Wrong(format!("{told}\n  hint: {missing}")));
        }
        // Engines give such numbers once in some thousand turns; another try doesn't.
        let broken = || Odd::Passing(format!("the log-probability of token {token} is no finite number"));
        let logprob = logprob.filter(|logprob| logprob.is_finite() && *logprob > NEVER).ok_or_else(broken)?;
        if logprob > ROUNDING {
            let told = format!("the log-probability of token {token} is {logprob}, above 0");
            return Err(Odd::Wrong(format!("{told}\n  hint: {missing}")));
        }
        Ok(logprob.min(0.0) as f32)
    };
    tokens.iter().zip(logprobs).map(one).collect()
}

/// Engines put -9999 where they have no number.
const NEVER: f64 = -9000.0;
/// Largest log-probability that rounding gives.
const ROUNDING: f64 = 1e-3;

/// Reads an array of token ids.
pub(crate) fn token_ids(value: &Value) -> Option<Vec<TokenId>> {
    let id = |id: &Value| id.as_u64().and_then(|id| TokenId::try_from(id).ok());
    value.as_array()?.iter().map(id).collect()
}
