//! Conflicts between keys that are each in their range.

/// Describes two keys whose values exclude each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The key to change, with its path in the file.
    pub key: String,
    /// Its value and the requirement: the text follows the key in the message.
    pub message: String,
}

impl Conflict {
    /// Returns the conflict of a key.
    pub fn new(key: &str, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }

    /// Returns the conflict with its keys under a table.
    #[must_use]
    pub fn under(self, table: &str) -> Self {
        Self { key: format!("{table}.{}", self.key), ..self }
    }
}

/// Checks a configuration's keys against each other after reading.
pub trait Consistent {
    /// Returns the first conflict between keys.
    fn conflict(&self) -> Option<Conflict> {
        None
    }
}
