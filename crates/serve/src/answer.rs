//! An answer, whatever its dialect.

use std::sync::Arc;

use serde_json::{Value, json};
use turnwise_trajectory::TokenId;

use crate::ask::Form;
use crate::model::Model;

/// Holds what an answer begins with.
pub struct Head {
    /// Names the answer.
    pub id: String,
    /// Seconds since 1970.
    pub created: u64,
    /// The form that the request asked for.
    pub form: Form,
    /// Keys of the request that the answer repeats.
    pub echo: Value,
    /// The tokens that were continued.
    pub prompt: Vec<TokenId>,
    pub(crate) model: Arc<Model>,
}

/// Holds a part of a choice, as it was sampled.
pub struct Piece<'a> {
    /// The index of the choice.
    pub choice: u32,
    /// Text outside calls.
    pub text: String,
    /// Tokens.
    pub tokens: &'a [TokenId],
    /// The log-probability of each token, in nats.
    pub logprobs: &'a [f32],
    /// The likeliest tokens at each token.
    pub likeliest: &'a [Vec<(TokenId, f32)>],
}

/// Holds a sequence that has ended.
pub struct Choice {
    /// Its index.
    pub index: u32,
    /// Its text outside calls.
    pub text: String,
    /// Its calls.
    pub calls: Vec<Call>,
    /// Why it ended.
    pub end: End,
    /// Its tokens, the stop token included.
    pub tokens: Vec<TokenId>,
    /// The log-probability of each token, in nats.
    pub logprobs: Vec<f32>,
    /// The likeliest tokens at each token.
    pub likeliest: Vec<Vec<(TokenId, f32)>>,
}

/// Holds a call of a tool.
pub struct Call {
    /// Names the call.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The text of a JSON object.
    pub arguments: String,
}

/// Says why a sequence ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The model ended its turn.
    Turn,
    /// Its turn calls tools.
    Calls,
    /// A stop string of the request came.
    Text(String),
    /// The limit of tokens was reached.
    Length,
}

/// Holds a whole answer.
pub struct Answer {
    /// Its head.
    pub head: Arc<Head>,
    /// Its choices, in order.
    pub choices: Vec<Choice>,
}

impl Head {
    /// Returns the name of the model.
    pub fn model(&self) -> &str {
        self.model.id()
    }

    /// Returns the text of one token, chat tokens spelled out, and its bytes.
    pub fn spelled(&self, token: TokenId) -> (String, Vec<u8>) {
        let bytes = self.model.bytes(token);
        (String::from_utf8_lossy(&bytes).into_owned(), bytes)
    }
}

impl Head {
    /// Writes tokens with their log-probabilities, as chat completions do.
    pub fn logprobs(&self, tokens: &[TokenId], logprobs: &[f32], likeliest: &[Vec<(TokenId, f32)>]) -> Value {
        let one = |(token, logprob): &(TokenId, f32)| {
            let (text, bytes) = self.spelled(*token);
            json!({"token": text, "logprob": logprob, "bytes": bytes})
        };
        let with_others = |((token, logprob), likeliest): ((&TokenId, &f32), &Vec<(TokenId, f32)>)| {
            let mut told = one(&(*token, *logprob));
            told["top_logprobs"] = likeliest.iter().map(one).collect();
            told
        };
        tokens.iter().zip(logprobs).zip(likeliest).map(with_others).collect()
    }
}

impl Answer {
    /// Counts the sampled tokens.
    pub fn sampled(&self) -> usize {
        self.choices.iter().map(|choice| choice.tokens.len()).sum()
    }
}
