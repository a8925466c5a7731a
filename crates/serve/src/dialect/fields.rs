//! Reads the keys of a JSON object, and says where one is wrong. A key that nobody reads is refused by name.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::refusal::Refusal;

/// Holds an object and its place in the request.
#[derive(Clone)]
pub(crate) struct Fields<'v> {
    map: &'v Map<String, Value>,
    place: String,
}

impl<'v> Fields<'v> {
    /// Takes an object; the request itself has no place.
    pub(crate) fn of(value: &'v Value, place: impl Into<String>) -> Result<Self, Refusal> {
        let place = place.into();
        match value {
            Value::Object(map) => Ok(Self { map, place }),
            other => Err(wrong(&place, other, "an object")),
        }
    }

    /// Returns the place of a key.
    pub(crate) fn place(&self, key: &str) -> String {
        if self.place.is_empty() { key.into() } else { format!("{}.{key}", self.place) }
    }

    /// Refuses keys other than these, unless they are null.
    pub(crate) fn only(&self, known: &[&[&str]]) -> Result<(), Refusal> {
        let other = self
            .map
            .iter()
            .find(|(key, value)| !value.is_null() && !known.iter().any(|part| part.contains(&key.as_str())));
        other.map_or(Ok(()), |(key, _)| {
            let short: String = key.chars().take(64).collect();
            Err(Refusal::unsupported(self.place(&short), ""))
        })
    }

    /// Refuses the values of a key that aren't among `neutral`: those that ask for nothing.
    pub(crate) fn neutral(&self, key: &str, neutral: &[Value]) -> Result<(), Refusal> {
        let same = |value: &Value, neutral: &Value| {
            value == neutral || value.as_f64().is_some_and(|number| neutral.as_f64() == Some(number))
        };
        let asks = |value: &&Value| !neutral.iter().any(|neutral| same(value, neutral));
        if !self.get(key).is_some_and(|value| asks(&value)) {
            return Ok(());
        }
        let known: Vec<String> = neutral.iter().map(Value::to_string).collect();
        let hint = if known.is_empty() { String::new() } else { format!("only {} is", known.join(" or ")) };
        Err(Refusal::unsupported(self.place(key), &hint))
    }

    /// Returns a value; none if it is absent or null.
    pub(crate) fn get(&self, key: &str) -> Option<&'v Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Returns a text.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&'v str>, Refusal> {
        self.read(key, "a text", Value::as_str)
    }

    /// Returns a text that has to be there.
    pub(crate) fn needed(&self, key: &str) -> Result<&'v str, Refusal> {
        self.text(key)?.ok_or_else(|| Refusal::at(self.place(key), "is missing"))
    }

    /// Returns true or false; false if absent.
    pub(crate) fn flag(&self, key: &str) -> Result<bool, Refusal> {
        Ok(self.read(key, "true or false", Value::as_bool)?.unwrap_or(false))
    }

    /// Returns a list.
    pub(crate) fn list(&self, key: &str) -> Result<Option<&'v [Value]>, Refusal> {
        self.read(key, "a list", |value| value.as_array().map(Vec::as_slice))
    }

    /// Returns an object.
    pub(crate) fn object(&self, key: &str) -> Result<Option<Fields<'v>>, Refusal> {
        self.get(key).map(|value| Fields::of(value, self.place(key))).transpose()
    }

    /// Returns a number in a range.
    pub(crate) fn number(&self, key: &str, range: RangeInclusive<f64>) -> Result<Option<f64>, Refusal> {
        let wanted = format!("a number from {} to {}", range.start(), range.end());
        self.read(key, &wanted, |value| value.as_f64().filter(|number| range.contains(number)))
    }

    /// Returns a whole number in a range.
    pub(crate) fn whole(&self, key: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Refusal> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        self.read(key, &wanted, |value| value.as_u64().filter(|number| range.contains(number)))
    }

    fn read<T>(
        &self,
        key: &str,
        wanted: &str,
        read: impl Fn(&'v Value) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let Some(value) = self.get(key) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| wrong(&self.place(key), value, wanted))
    }
}

/// Returns the refusal of a value.
pub(crate) fn wrong(place: &str, value: &Value, wanted: &str) -> Refusal {
    let found = match value {
        Value::Null => "null".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(_) => "a text".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".to_string(),
    };
    let place = if place.is_empty() { "the request" } else { place };
    Refusal::at(place, format!("{found}, not {wanted}"))
}
