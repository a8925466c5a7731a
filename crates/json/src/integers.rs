//! Finds integers beyond 64 bits, whose digits Python's `json` keeps. A number of `serde_json` is rounded.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;

/// Returns the first integer of a JSON text that doesn't fit into 64 bits. As a float it would be rounded.
pub fn beyond_64_bits(json: &str) -> Option<&str> {
    next(json, 0).map(|range| &json[range])
}

/// Returns a JSON text in which each integer beyond 64 bits is a text of its digits.
pub fn with_exact_integers(json: &str) -> Cow<'_, str> {
    let (mut exact, mut from) = (String::new(), 0);
    while let Some(Range { start, end }) = next(json, from) {
        for part in [&json[from..start], "\"", &json[start..end], "\""] {
            exact.push_str(part);
        }
        from = end;
    }
    if from == 0 { Cow::Borrowed(json) } else { Cow::Owned(exact + &json[from..]) }
}

/// Returns the path and the digits of the first integer that one of two readings of a text has rounded.
/// `exact` is the reading of [`with_exact_integers`], and `plain` that of the text itself.
pub fn rounded(exact: &Value, plain: &Value) -> Option<(String, String)> {
    let under = |step: String, exact: &Value, plain: &Value| {
        rounded(exact, plain).map(|(path, digits)| (format!("{step}{path}"), digits))
    };
    match (exact, plain) {
        (Value::String(digits), Value::Number(_)) => Some((String::new(), digits.clone())),
        (Value::Array(exact), Value::Array(plain)) => {
            let mut pairs = exact.iter().zip(plain).enumerate();
            pairs.find_map(|(at, (exact, plain))| under(format!("[{at}]"), exact, plain))
        }
        (Value::Object(exact), Value::Object(plain)) => {
            exact.iter().find_map(|(key, exact)| under(format!(".{key}"), exact, plain.get(key)?))
        }
        _ => None,
    }
}

/// Returns the place of the first integer beyond 64 bits from a place outside of texts on.
fn next(json: &str, from: usize) -> Option<Range<usize>> {
    let (bytes, mut at) = (json.as_bytes(), from);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = after_text(bytes, at + 1),
            b'0'..=b'9' | b'-' => {
                let in_number = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                let end = at + bytes[at..].iter().take_while(in_number).count();
                if is_beyond(&json[at..end]) {
                    return Some(at..end);
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    None
}

/// Returns the place after a text. `at` is its first byte.
pub(crate) fn after_text(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

fn is_beyond(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_integer && number.parse::<i64>().is_err() && number.parse::<u64>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIG: [&str; 3] = ["18446744073709551616", "-9223372036854775809", "123456789012345678901234567890"];

    #[test]
    fn only_integers_that_a_float_would_round_are_beyond_64_bits() {
        let (most, least) = (u64::MAX.to_string(), i64::MIN.to_string());
        for exact in [&most, &least, "1e30", "-1.5e400", "123456789012345678901234567890.0", "-", "--1"] {
            assert_eq!(beyond_64_bits(exact), None, "{exact}");
            assert!(matches!(with_exact_integers(exact), Cow::Borrowed(_)));
        }
        let texts = [r#""18446744073709551616""#, r#"{"99999999999999999999": "\"99999999999999999999"}"#];
        assert!(texts.iter().all(|text| beyond_64_bits(text).is_none()));
        for big in BIG {
            assert_eq!(beyond_64_bits(&format!(r#"{{"a": ["\\", {big}]}}"#)), Some(big));
        }
        for broken in ["\"", "\"\\", "\"é\\", "{\"a\": 99999999999999999999"] {
            with_exact_integers(broken);
        }
    }

    /// Numbers that are left have the value that they had, and texts their letters.
    #[test]
    fn integers_keep_their_digits_and_nothing_else_changes() {
        for big in BIG {
            let text =
                format!(r#"{{"é": [1.10, {big}, "{big}\"", {{"b": {big}, "{big}": -1e3}}], "c":{big}}}"#);
            let exact: Value = serde_json::from_str(&with_exact_integers(&text)).unwrap();
            let quoted = format!("{big}\"");
            let expect = serde_json::json!({"é": [1.1, big, quoted, {"b": big, big: -1e3}], "c": big});
            assert_eq!(exact, expect);
            let plain: Value = serde_json::from_str(&text).unwrap();
            let found = rounded(&exact["é"], &plain["é"]);
            assert_eq!(found, Some(("[1]".into(), big.into())));
            assert_eq!(rounded(&exact["é"][3], &plain["é"][3]), Some((".b".into(), big.into())));
            assert_eq!(rounded(&exact["é"][2], &plain["é"][2]), None);
        }
    }
}
