//! JSON over HTTP to servers that are busy, still loading or odd: one request with its limits ([`Client`]),
//! the rule for trying again ([`Patience`]), and a reader for the JSON that servers send ([`json`]), as a
//! whole or as a stream of events.

mod client;
pub mod json;
mod patience;
mod refusal;
mod stream;

pub use client::{Client, Reply};
pub use patience::{GaveUp, Patience};
pub use refusal::Refusal;

use std::time::Duration;

/// Why one request came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Another try may do better.
    Passing {
        /// One line.
        reason: String,
        /// The wait that the server asked for.
        wait: Option<Duration>,
    },
    /// No server answers at this address, or something else does: it may not run yet.
    Unreached(String),
    /// Another try will do no better.
    Lasting(String),
}

impl Failure {
    /// A fault that may pass by itself.
    pub fn passing(reason: impl Into<String>) -> Self {
        Self::Passing { reason: reason.into(), wait: None }
    }

    /// The line that says it.
    pub fn reason(&self) -> &str {
        match self {
            Self::Passing { reason, .. } | Self::Unreached(reason) | Self::Lasting(reason) => reason,
        }
    }
}

/// A text as one line of at most 200 characters, for a message.
pub fn short(text: &str) -> String {
    let mut words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let mut line = String::new();
    let mut left = 200;
    while let Some(word) = words.next().filter(|_| left > 0) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().take(left));
        left = left.saturating_sub(word.chars().take(left).count() + 1);
    }
    if left == 0 { line + "…" } else { line }
}
