//! Reads JSON of servers: strictly first, then with common errors of serialisers repaired.

use std::fmt::Write;

use serde::de::DeserializeOwned;

/// Reads a JSON text. In text that isn't JSON, half surrogate pairs, byte order marks, raw control
/// characters, `NaN` and `Infinity` are repaired first.
///
/// # Errors
/// The strict reader's, if the repair doesn't help.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(text).or_else(|error| serde_json::from_str(&mended(text)).map_err(|_| error))
}

fn mended(text: &str) -> String {
    let mut rest = text.trim_start_matches('\u{feff}');
    let mut out = String::with_capacity(rest.len());
    let mut quoted = false;
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '"' => {
                quoted = !quoted;
                out.push('"');
                1
            }
            '\\' if quoted => escape(rest, &mut out),
            control if quoted && control < ' ' => {
                // Writing to a string never fails.
                let _ = write!(out, "\\u{:04x}", u32::from(control));
                1
            }
            _ if !quoted && word(rest).is_some() => {
                out.push_str("null");
                word(rest).map_or(0, str::len)
            }
            other => {
                out.push(other);
                other.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    out
}

/// Returns the word at the start of a text that is a number beyond JSON.
fn word(rest: &str) -> Option<&'static str> {
    ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| rest.starts_with(word))
}

/// Reads an escape and returns its length. Half a surrogate pair becomes U+FFFD.
fn escape(rest: &str, out: &mut String) -> usize {
    let unit = |at: usize| -> Option<u16> {
        let digits = rest.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let length = match (unit(0), unit(6)) {
        (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
        (Some(0xd800..=0xdfff), _) => {
            out.push_str("\\ufffd");
            return 6;
        }
        (Some(_), _) => 6,
        (None, _) => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
    };
    out.push_str(&rest[..length]);
    length
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_serialisers_do_wrong_is_mended() {
        let check = |text: &str, expect: Value| {
            assert_eq!(read::<Value>(text).unwrap_or_else(|e| panic!("{text}: {e}")), expect, "{text}");
        };
        check(r#"{"a":"\ud83d\ude00"}"#, json!({"a": "😀"}));
        check(r#"{"a":"x\ud83d"}"#, json!({"a": "x\u{fffd}"}));
        check(r#"{"a":"\ude00\ud83dx"}"#, json!({"a": "\u{fffd}\u{fffd}x"}));
        check(r#"{"a":"\ud83d\ud83d\ude00"}"#, json!({"a": "\u{fffd}😀"}));
        check(r#"{"a":"\\ud83d","b":"\"\ud83d"}"#, json!({"a": "\\ud83d", "b": "\"\u{fffd}"}));
        check("\u{feff}{\"a\":1}", json!({"a": 1}));
        check("{\"a\":\"x\ny\u{1}\"}", json!({"a": "x\ny\u{1}"}));
        check(
            r#"{"a":NaN,"b":[Infinity,-Infinity],"c":"NaN"}"#,
            json!({"a": null, "b": [null, null], "c": "NaN"}),
        );
        for wrong in ["", "{", r#"{"a":"\ud83d"#, r#"{"a":"\"#, "NaN,", "\"\\u12"] {
            assert!(read::<Value>(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_json_stays_as_it_is(text in "[\\\\\"ud8f0-9{}:,é\n]{0,40}") {
            let _ = read::<Value>(&text);
            let whole = serde_json::to_string(&json!({"text": text})).unwrap();
            prop_assert_eq!(mended(&whole), whole);
        }
    }
}
