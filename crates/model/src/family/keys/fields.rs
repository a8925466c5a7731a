//! Typed access to `config.json`. A wrong type is one line with the key and the value.

use serde_json::{Map, Value};

/// Reads the fields of an object.
pub(in crate::family) struct Fields<'a>(pub(in crate::family) &'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn get<T>(
        &self,
        key: &str,
        what: &str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, String> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => convert(value).map(Some).ok_or_else(|| format!("{key} = {value} is not {what}")),
        }
    }

    pub(in crate::family) fn optional_size(&self, key: &str) -> Result<Option<usize>, String> {
        self.get(key, "a whole number", |v| v.as_u64().and_then(|n| usize::try_from(n).ok()))
    }

    /// Reads a size. An absent key has the default of `transformers`; `null` is an error.
    pub(in crate::family) fn size_or(&self, key: &str, default: usize) -> Result<usize, String> {
        self.present_size(key, Some(default))?.ok_or_else(|| format!("{key} = null is not a whole number"))
    }

    /// Reads a size that `null` switches off. The default holds only for an absent key.
    pub(in crate::family) fn present_size(
        &self,
        key: &str,
        default: Option<usize>,
    ) -> Result<Option<usize>, String> {
        if self.0.contains_key(key) { self.optional_size(key) } else { Ok(default) }
    }

    pub(in crate::family) fn number(&self, key: &str) -> Result<Option<f64>, String> {
        self.get(key, "a number", Value::as_f64)
    }

    /// Reads a number that `null` switches off. The default holds only for an absent key.
    pub(in crate::family) fn present_number(
        &self,
        key: &str,
        default: Option<f64>,
    ) -> Result<Option<f64>, String> {
        if self.0.contains_key(key) { self.number(key) } else { Ok(default) }
    }

    pub(in crate::family) fn flag(&self, key: &str) -> Result<Option<bool>, String> {
        self.get(key, "true or false", Value::as_bool)
    }

    pub(in crate::family) fn text(&self, key: &str) -> Result<Option<&'a str>, String> {
        self.get(key, "a string", Value::as_str)
    }

    pub(in crate::family) fn object(&self, key: &str) -> Result<Option<&'a Map<String, Value>>, String> {
        self.get(key, "an object", Value::as_object)
    }

    pub(in crate::family) fn list(&self, key: &str) -> Result<Option<&'a Vec<Value>>, String> {
        self.get(key, "a list", Value::as_array)
    }
}
