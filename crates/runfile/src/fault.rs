//! A value that its type refuses, before it is put into the words of a run file.

use std::fmt::{Display, Formatter};

/// A byte of a layer's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Index of the layer's source.
    pub(crate) source: usize,
    /// Offset in its text.
    pub(crate) byte: usize,
}

/// A refusal, collected while it travels up from the value to the root.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) message: String,
    /// None for the file as a whole.
    pub(crate) place: Option<Place>,
    /// Innermost first.
    keys: Vec<String>,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>, place: Option<Place>) -> Self {
        Self { message: message.into(), place, keys: Vec::new() }
    }

    /// Adds the place, unless the refusal has a nearer one.
    pub(crate) fn at(mut self, place: Option<Place>) -> Self {
        self.place = self.place.or(place);
        self
    }

    /// Adds the key that holds the value.
    pub(crate) fn under(mut self, key: &str) -> Self {
        self.keys.push(key.to_string());
        self
    }

    /// The path of the value, as `--set` writes it.
    pub(crate) fn path(&self) -> String {
        self.keys.iter().rev().cloned().collect::<Vec<_>>().join(".")
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message.to_string(), None)
    }
}
