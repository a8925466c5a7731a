//! Keys whose values don't go together, each of them being in its range.

/// Two keys that exclude each other's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The key to change, with its path in the file.
    pub key: String,
    /// Its value, and what it would have to be: follows the key in the message.
    pub message: String,
}

impl Conflict {
    /// Makes the conflict of a key.
    pub fn new(key: &str, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }

    /// Returns the conflict with its keys under a table.
    #[must_use]
    pub fn under(self, table: &str) -> Self {
        Self { key: format!("{table}.{}", self.key), ..self }
    }
}

/// A configuration whose keys are checked against each other once it is read.
pub trait Consistent {
    /// Returns the first conflict between keys.
    fn conflict(&self) -> Option<Conflict> {
        None
    }
}
