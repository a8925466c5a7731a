//! Errors of run files.

/// Says why a run file can't be used, in one line and a second one with any hint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}{}", hint.as_ref().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default())]
pub struct ConfigError {
    /// `file:line`, a file, or the wrong `--set`.
    pub place: String,
    /// The problem, with the value.
    pub message: String,
    /// A remedy.
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
