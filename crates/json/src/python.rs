//! Floats that Python's `json` writes and JSON doesn't have.

use std::borrow::Cow;

use crate::integers::after_text;

/// The words of these floats.
const WORDS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];

/// Replaces each bare `NaN`, `Infinity` and `-Infinity` of a JSON text by an object: `{"__float__": "NaN"}`.
///
/// transformers 5 writes and reads these objects in a `config.json`. A reader that needs a number there
/// refuses the object and shows it, and the others don't see it.
pub fn with_tagged_floats(json: &[u8]) -> Cow<'_, [u8]> {
    let (mut tagged, mut from, mut at) = (Vec::new(), 0, 0);
    while at < json.len() {
        let word = WORDS.iter().find(|word| json[at..].starts_with(word));
        match (json[at], word) {
            (b'"', _) => at = after_text(json, at + 1),
            (_, Some(word)) if is_alone(json, at, at + word.len()) => {
                tagged.extend_from_slice(&json[from..at]);
                for part in [b"{\"__float__\": \"", *word, b"\"}"] {
                    tagged.extend_from_slice(part);
                }
                at += word.len();
                from = at;
            }
            _ => at += 1,
        }
    }
    if from == 0 {
        return Cow::Borrowed(json);
    }
    tagged.extend_from_slice(&json[from..]);
    Cow::Owned(tagged)
}

/// Returns whether no letter, digit or sign touches a word.
fn is_alone(json: &[u8], start: usize, end: usize) -> bool {
    let touches = |byte: &u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(byte) || !byte.is_ascii();
    !json[..start].last().is_some_and(touches) && !json.get(end).is_some_and(touches)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn floats_of_python_are_objects_and_nothing_else_changes() {
        let text =
            r#"{"time_step_limit": [0.0, Infinity], "a":-Infinity,"b": {"NaN": NaN, "c\\\"": "\"Infinity"}}"#;
        let read: Value = serde_json::from_slice(&with_tagged_floats(text.as_bytes())).unwrap();
        let tag = |word: &str| json!({"__float__": word});
        let expect = json!({
            "time_step_limit": [0.0, tag("Infinity")], "a": tag("-Infinity"),
            "b": {"NaN": tag("NaN"), "c\\\"": "\"Infinity"},
        });
        assert_eq!(read, expect);
        let alone: Value = serde_json::from_slice(&with_tagged_floats(b"NaN")).unwrap();
        assert_eq!(alone, tag("NaN"));
    }

    #[test]
    fn what_python_refuses_too_stays() {
        for text in
            ["NaNs", "+Infinity", "--Infinity", "1Infinity", "-NaN", "nan", "[1, \"NaN", "\"\\", "\"NaN\""]
        {
            assert!(matches!(with_tagged_floats(text.as_bytes()), Cow::Borrowed(_)), "{text}");
        }
    }
}
