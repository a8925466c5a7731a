//! Protocols of others: one file each, from a request to an [`Ask`] and from an answer to JSON.

mod anthropic;
mod chat;
mod completions;
mod detail;
mod events;
pub(crate) mod fields;
pub(crate) mod messages;
mod openai;
mod responses;
mod sampling;
mod tools;

use std::sync::Arc;

use serde_json::Value;

use crate::answer::{Answer, Choice, Head, Piece};
use crate::ask::Ask;
use crate::refusal::Refusal;

pub(crate) use openai::refusal as openai_refusal;

/// Reads requests and writes answers of one protocol.
pub trait Dialect: Send + Sync {
    /// Returns the address of its requests.
    fn path(&self) -> &'static str;

    /// Reads a request, or refuses it by the name of the key that isn't supported.
    fn read(&self, request: &Value) -> Result<Ask, Refusal>;

    /// Writes a refusal.
    fn refuse(&self, refusal: &Refusal) -> Value;

    /// Writes an answer.
    fn whole(&self, answer: &Answer) -> Value;

    /// Begins an answer that is a stream of events.
    fn stream(&self, head: Arc<Head>) -> Box<dyn Stream>;
}

/// Writes an answer as server-sent events, each method appending those that are due.
pub trait Stream: Send {
    /// Begins.
    fn begin(&mut self, out: &mut String);

    /// Tells a part of a choice.
    fn piece(&mut self, piece: &Piece<'_>, out: &mut String);

    /// Tells the end of a choice, and its calls.
    fn ended(&mut self, choice: &Choice, out: &mut String);

    /// Ends.
    fn done(&mut self, answer: &Answer, out: &mut String);

    /// Tells that the answer breaks off.
    fn failed(&mut self, refusal: &Refusal, out: &mut String);
}

/// Returns every dialect.
pub fn all() -> [&'static dyn Dialect; 4] {
    [&chat::ChatCompletions, &completions::Completions, &responses::Responses, &anthropic::Messages]
}
