//! Values that their type refuses, before they are explained.

use std::fmt::{Display, Formatter};

/// Points to a byte of a layer's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Index of the layer's source.
    pub(crate) source: usize,
    /// Offset in its text.
    pub(crate) byte: usize,
}

/// Describes a refused value; keys are added on the way from the value to the root.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) message: String,
    /// The value's place; none for the whole file.
    pub(crate) place: Option<Place>,
    /// The keys, innermost first.
    keys: Vec<String>,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>, place: Option<Place>) -> Self {
        Self { message: message.into(), place, keys: Vec::new() }
    }

    /// Adds the place, unless the fault has a nearer one.
    pub(crate) fn at(mut self, place: Option<Place>) -> Self {
        self.place = self.place.or(place);
        self
    }

    /// Adds the key that holds the value.
    pub(crate) fn under(mut self, key: &str) -> Self {
        self.keys.push(key.to_string());
        self
    }

    /// Returns the path of the value, as `--set` writes it.
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
