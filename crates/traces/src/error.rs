//! Errors of reading traces: one line with the place, the key and the fault, and a hint.

/// Says why a trace can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {wrong}")]
pub struct TraceError {
    /// The file, and the line on which the document begins, counted from 1.
    pub place: String,
    /// The fault.
    wrong: Wrong,
}

/// Holds a fault within a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The path of the key; empty for the document.
    key: String,
    /// The fault, and a hint.
    message: String,
}

impl Wrong {
    /// Returns the fault of a key.
    pub(crate) fn at(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }

    /// Returns a fault of the document.
    pub(crate) fn all(message: impl Into<String>) -> Self {
        Self::at("", message)
    }

    /// Adds the place.
    pub(crate) fn of(self, place: &str) -> TraceError {
        TraceError { place: place.into(), wrong: self }
    }
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}
