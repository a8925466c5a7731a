//! A run file that can't be used.

/// A run file that can't be used. Its text is one line, and a second one if there is a hint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}{}", hint.as_ref().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default())]
pub struct ConfigError {
    /// `file:line`, a file, or the `--set` that is wrong.
    pub place: String,
    /// The problem, with the value.
    pub message: String,
    /// A way out.
    pub hint: Option<String>,
}

impl ConfigError {
    pub(crate) fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
