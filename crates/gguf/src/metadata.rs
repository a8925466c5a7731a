//! Reads the key/value part of a file.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};

/// Holds a value of the metadata. Numbers are widened.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// An integer.
    Int(i128),
    /// A float. Those of 32 bits keep the digits that they were written with: 1e-5, not 9.99999974e-6.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A text.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
    /// Integers.
    Ints(Vec<i64>),
    /// Floats.
    Floats(Vec<f32>),
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Int(number) => number.fmt(f),
            Value::Float(number) => number.fmt(f),
            Value::Bool(flag) => flag.fmt(f),
            Value::Text(text) if text.chars().count() > LONGEST_SHOWN => f.write_str("a long text"),
            Value::Text(text) => write!(f, "{text:?}"),
            Value::Texts(texts) => write!(f, "a list of {} texts", texts.len()),
            Value::Ints(numbers) => write!(f, "a list of {} integers", numbers.len()),
            Value::Floats(numbers) => write!(f, "a list of {} floats", numbers.len()),
        }
    }
}

/// Most letters of a text in a message.
const LONGEST_SHOWN: usize = 80;

/// Maps the names of the metadata to their values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata(pub(crate) BTreeMap<String, Value>);

impl Metadata {
    /// Returns any value.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// Returns a text. An error names the key.
    pub fn text(&self, key: &str) -> Result<Option<&str>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(format!("{key} = {other} is not a text")),
        }
    }

    /// Returns an integer from 0 up.
    pub fn size(&self, key: &str) -> Result<Option<u64>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Int(size)) if u64::try_from(*size).is_ok() => Ok(Some(*size as u64)),
            Some(other) => Err(format!("{key} = {other} is not a whole number")),
        }
    }

    /// Returns a finite number.
    pub fn number(&self, key: &str) -> Result<Option<f64>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Float(number)) if number.is_finite() => Ok(Some(*number)),
            Some(Value::Int(number)) => Ok(Some(*number as f64)),
            Some(other) => Err(format!("{key} = {other} is not a finite number")),
        }
    }

    /// Returns a truth value.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(format!("{key} = {other} is not a truth value")),
        }
    }

    /// Returns the texts of a list; none where the key is absent.
    pub fn texts(&self, key: &str) -> Result<&[String], String> {
        match self.get(key) {
            None => Ok(&[]),
            Some(Value::Texts(texts)) => Ok(texts),
            Some(other) => Err(format!("{key} = {other} is not a list of texts")),
        }
    }
}
