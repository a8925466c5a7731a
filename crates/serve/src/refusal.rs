//! Why a request isn't answered. Each dialect writes it in its own form.

use std::time::Duration;

/// The code of a refusal because the context is full.
pub(crate) const FULL: &str = "context_length_exceeded";

/// Says why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The place in the request, such as `messages[2].content`.
    pub place: Option<String>,
    /// One line.
    pub message: String,
    /// A name for programs.
    pub code: Option<&'static str>,
    /// The wait before another try.
    pub wait: Option<Duration>,
}

impl Refusal {
    /// Returns a refusal of a request that is wrong at `place`.
    pub fn at(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: Some(place.into()), ..Self::of(400, message) }
    }

    /// Returns a refusal of what isn't supported.
    pub fn unsupported(place: impl Into<String>, hint: &str) -> Self {
        let place = place.into();
        let message =
            if hint.is_empty() { "isn't supported".into() } else { format!("isn't supported; {hint}") };
        Self { code: Some("unsupported"), ..Self::at(place, message) }
    }

    /// Returns a refusal with a status.
    pub fn of(status: u16, message: impl Into<String>) -> Self {
        Self { status, place: None, message: message.into(), code: None, wait: None }
    }

    /// Returns a refusal of a prompt that is longer than the context.
    pub(crate) fn too_long(tokens: &str, context: usize) -> Self {
        let message = format!("the prompt has {tokens} tokens, and the context length is {context}");
        Self { code: Some(FULL), ..Self::of(400, message) }
    }

    /// Returns a refusal because the server is busy.
    pub fn busy(message: impl Into<String>) -> Self {
        Self { wait: Some(Duration::from_secs(1)), code: Some("busy"), ..Self::of(503, message) }
    }

    /// Returns its line: the place, and what is wrong there.
    pub fn line(&self) -> String {
        match &self.place {
            Some(place) => format!("{place}: {}", self.message),
            None => self.message.clone(),
        }
    }
}
