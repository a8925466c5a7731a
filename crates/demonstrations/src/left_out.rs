//! Why a conversation isn't trained on.

use serde::Serialize;
use serde_json::Value as Json;
use turnwise_json::beyond_64_bits;

/// Says what is wrong with a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The row has no messages, or one of them has no text.
    NotAConversation,
    /// A message has a role that no template knows.
    UnknownRole,
    /// The tools on offer aren't tools.
    BadTools,
    /// A call has no name, or arguments that are no object or don't fit the tool's schema.
    MalformedCall,
    /// A number would be rounded.
    LargeInteger,
    /// A call names a tool that isn't on offer.
    UnknownTool,
    /// A mark says neither yes nor no, or stands at a message that isn't the assistant's.
    BadMark,
    /// The chat template refuses the conversation, or leaves a part of it out.
    Template,
    /// No turn is to be trained.
    NothingTrained,
    /// Not even the first trained turn fits.
    TooLong,
}

impl Reason {
    /// Returns the reason in words that follow a number of rows.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotAConversation => "without a conversation",
            Self::UnknownRole => "with an unknown role",
            Self::BadTools => "with broken tools",
            Self::MalformedCall => "with a malformed call",
            Self::LargeInteger => "with an integer beyond 64 bits",
            Self::UnknownTool => "with a call of a tool that isn't offered",
            Self::BadMark => "with a wrong mark",
            Self::Template => "that the chat template can't write",
            Self::NothingTrained => "with nothing to train",
            Self::TooLong => "too long",
        }
    }
}

/// Describes a conversation that is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The kind.
    pub reason: Reason,
    /// One line with place and value.
    pub message: String,
}

impl LeftOut {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// Returns the reason of a row in which an integer would be rounded.
    pub fn large_integer(place: &str, digits: &str) -> Self {
        let message = format!("{place} is {digits:.40}; hint: as a text it would be exact");
        Self::new(Reason::LargeInteger, message)
    }

    /// Reads JSON that stands in a text.
    ///
    /// # Errors
    /// Refuses an integer that would be rounded, and with `wrong` what is no JSON.
    pub(crate) fn or_json(text: &str, place: &str, wrong: impl Fn(String) -> Self) -> Result<Json, Self> {
        match beyond_64_bits(text) {
            Some(digits) => Err(Self::large_integer(&format!("an integer in {place}"), digits)),
            None => serde_json::from_str(text).map_err(|error| wrong(error.to_string())),
        }
    }
}
