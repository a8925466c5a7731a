//! Sends JSON over HTTP to servers that are busy, still loading or odd: one request with its limits
//! ([`Client`]), the rule for trying again ([`RetryPolicy`]), and a reader for the JSON that servers send
//! ([`json`]), as a whole or as a stream of events ([`sse`]). [`address`] refuses addresses that nobody can
//! have, and [`tls`] says whom `https` trusts.

pub mod address;
mod client;
pub mod json;
mod refusal;
mod retry_policy;
pub mod sse;
mod stream;
pub mod tls;

pub use client::{Client, Header, Reply, explained, retry_after};
pub use refusal::Refusal;
pub use retry_policy::{GaveUp, RetryPolicy};

use std::time::Duration;

/// Says why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// A retry may succeed.
    Passing {
        /// One line.
        reason: String,
        /// The wait that the server asked for.
        wait: Option<Duration>,
    },
    /// No server, or another program, answers at this address; the server may not run yet.
    Unreached(String),
    /// A retry won't succeed.
    Lasting(String),
}

impl Failure {
    /// Returns a failure that a retry may cure.
    pub fn passing(reason: impl Into<String>) -> Self {
        Self::Passing { reason: reason.into(), wait: None }
    }

    /// Returns its message, one line.
    pub fn reason(&self) -> &str {
        match self {
            Self::Passing { reason, .. } | Self::Unreached(reason) | Self::Lasting(reason) => reason,
        }
    }
}

/// Returns a text as one line of at most 200 characters, for a message.
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
