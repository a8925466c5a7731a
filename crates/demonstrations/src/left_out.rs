//! Why a conversation isn't trained on.

use serde::Serialize;

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
            Self::UnknownTool => "with a call of a tool that isn't offered",
            Self::BadMark => "with a wrong mark",
            Self::Template => "that the chat template can't write",
            Self::NothingTrained => "with nothing to train",
            Self::TooLong => "too long",
        }
    }
}

/// A conversation that is left out.
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
}
