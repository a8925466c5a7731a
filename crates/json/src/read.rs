//! Reads types, with the path of the fault before its words.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::words::words;

type Placed = serde_path_to_error::Error<serde_json::Error>;

/// Reads a type off a JSON text.
///
/// # Errors
/// The path of the fault and its words, without line and column.
pub fn of_text<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| {
        let again: Result<T, Placed> =
            serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text));
        again.map_or_else(|placed| told(&placed), |_| words(&error))
    })
}

/// Reads a type off a value.
///
/// # Errors
/// As [`of_text`].
pub fn of_value<'v, T: Deserialize<'v>>(value: &'v Value) -> Result<T, String> {
    // Paths cost time, so they are only followed where something is wrong.
    T::deserialize(value).map_err(|error| {
        let again: Result<T, Placed> = serde_path_to_error::deserialize(value);
        again.map_or_else(|placed| told(&placed), |_| words(&error))
    })
}

fn told(error: &Placed) -> String {
    match error.path().to_string().as_str() {
        "." => words(error.inner()),
        path => format!("{path}: {}", words(error.inner())),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_fault_has_its_path() {
        type Turns = BTreeMap<String, Vec<BTreeMap<String, f64>>>;
        for (text, expect) in [
            (r#"{"turns":[{},{"acc":"1"}]}"#, "turns[1].acc: the text \"1\", expected a number"),
            (r#"{"turns":{}}"#, "turns: an object, expected a list"),
            ("[]", "a list, expected an object"),
        ] {
            assert_eq!(of_text::<Turns>(text), Err(expect.into()));
            assert_eq!(of_value::<Turns>(&serde_json::from_str(text).unwrap()), Err(expect.into()));
        }
        assert_eq!(of_text::<f64>("1 2"), Err("more text behind the value".into()));
        assert_eq!(of_value::<f64>(&1.5.into()), Ok(1.5));
    }
}
