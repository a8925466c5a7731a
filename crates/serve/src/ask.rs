//! A request, whatever its dialect.

use serde_json::Value;
use turnwise_tools::ToolSpec;
use turnwise_trajectory::TokenId;

use crate::engine::EngineSampling;

/// Holds a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// The text to continue.
    pub prompt: Prompt,
    /// The settings of sampling.
    pub sampling: EngineSampling,
    /// Names the random numbers; absent, the session and the number of the call do.
    pub seed: Option<u64>,
    /// Most tokens to sample; absent, the context's rest.
    pub max_new: Option<usize>,
    /// Texts that end a sequence. They aren't part of its text.
    pub stop: Vec<String>,
    /// Number of sequences.
    pub choices: u32,
    /// The form of the answer.
    pub form: Form,
    /// Keys that the answer repeats.
    pub echo: Value,
}

/// Says what an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Form {
    /// How it is delivered.
    pub delivery: Delivery,
    /// Whether it has log-probabilities.
    pub logprobs: bool,
    /// The number of likeliest tokens beside each log-probability.
    pub likeliest: usize,
    /// Whether it has token ids.
    pub token_ids: bool,
}

/// Says how an answer is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// As one JSON object.
    #[default]
    Whole,
    /// As a stream of events.
    Stream,
    /// As a stream whose end tells the number of tokens.
    Counted,
}

/// Holds what is continued.
#[derive(Debug, Clone, PartialEq)]
pub enum Prompt {
    /// A conversation, by the chat template.
    Chat(Chat),
    /// A text as it is.
    Text(String),
    /// Tokens as they are.
    Tokens(Vec<TokenId>),
}

/// Holds a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Chat {
    /// The messages in OpenAI's form: `role`, `content` as a text, `tool_calls` with arguments as objects,
    /// `tool_call_id`.
    pub messages: Vec<Value>,
    /// The tools on offer.
    pub tools: Vec<ToolSpec>,
    /// Whether the model calls one.
    pub choice: ToolChoice,
    /// Whether a turn may hold several calls.
    pub parallel: bool,
}

/// Says whether a turn calls a tool.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// No text is read as a call.
    None,
    /// The turn begins with a call.
    Required,
    /// The turn is a call of this tool.
    Named(String),
}
