//! Python literals to JSON and back. Literals are rewritten token by token, so nothing here recurses.

use serde_json::Value;

use super::json::spaced;
use super::quotes::PythonQuotes;

/// The pieces between the commas that are in no bracket and no string.
pub(super) fn split_top(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let (mut quotes, mut depth, mut start, mut at) = (PythonQuotes::default(), 0i32, 0, 0);
    let mut pieces = Vec::new();
    while at < bytes.len() {
        if !quotes.hide(bytes[at]) {
            match bytes[at] {
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth -= 1,
                b',' if depth == 0 => {
                    pieces.push(&text[start..at]);
                    start = at + 1;
                }
                _ => {}
            }
        }
        at += quotes.step(&bytes[at..], true).unwrap_or(1);
    }
    pieces.push(&text[start..]);
    pieces
}

/// The value of a Python literal: strings, numbers, `True`, `False`, `None`, lists, tuples, dictionaries.
pub(super) fn to_json(literal: &str) -> Result<Value, String> {
    let mut json = String::with_capacity(literal.len());
    let mut rest = literal;
    while let Some(c) = rest.chars().next() {
        match c {
            '"' | '\'' => {
                let (text, after) = string(rest)?;
                json.push_str(&Value::from(text).to_string());
                rest = after;
                continue;
            }
            '(' => json.push('['),
            ')' => json.push(']'),
            // A comma before a closing bracket is Python's, not JSON's.
            ',' if rest[1..].trim_start().starts_with([')', ']', '}']) => {}
            _ if c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '+') => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '+')));
                let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
                json.push_str(&atom(word)?);
                rest = after;
                continue;
            }
            _ => json.push(c),
        }
        rest = &rest[c.len_utf8()..];
    }
    // Its depth is bounded by serde_json.
    serde_json::from_str(&json).map_err(|_| format!("not a literal: {literal:.40}"))
}

fn atom(word: &str) -> Result<String, String> {
    let plain = word.replace('_', "");
    match word {
        "True" | "true" => Ok("true".into()),
        "False" | "false" => Ok("false".into()),
        "None" | "null" => Ok("null".into()),
        _ => match (plain.parse::<i64>(), plain.parse::<f64>()) {
            (Ok(integer), _) => Ok(integer.to_string()),
            (_, Ok(float)) if float.is_finite() => Ok(Value::from(float).to_string()),
            _ => Err(format!("not a literal: {word:.40}")),
        },
    }
}

/// The string literal that `text` starts with, and what comes after it.
fn string(text: &str) -> Result<(String, &str), String> {
    let unclosed = || format!("a string is never closed: {text:.40}");
    let quote = &text[..1];
    let triple = quote.repeat(3);
    let close = if text.starts_with(&triple) { triple.as_str() } else { quote };
    let mut rest = &text[close.len()..];
    let mut value = String::new();
    loop {
        if let Some(after) = rest.strip_prefix(close) {
            return Ok((value, after));
        }
        let c = rest.chars().next().ok_or_else(unclosed)?;
        rest = &rest[c.len_utf8()..];
        if c == '\\' { rest = escape(rest, &mut value).ok_or_else(unclosed)? } else { value.push(c) }
    }
}

/// Appends what an escape stands for; gives what comes after it.
fn escape<'a>(text: &'a str, value: &mut String) -> Option<&'a str> {
    let c = text.chars().next()?;
    let rest = &text[c.len_utf8()..];
    let digits = match c {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => 0,
    };
    if digits > 0 {
        let code = rest.get(..digits).and_then(|hex| u32::from_str_radix(hex, 16).ok())?;
        // JSON writes a character beyond the first plane as two escapes.
        if let (0xD800..0xDC00, Some(low)) = (code, rest.get(4..10).and_then(|low| low.strip_prefix("\\u"))) {
            let low = u32::from_str_radix(low, 16).ok()?;
            value.push(char::from_u32(0x10000 + ((code - 0xD800) << 10) + low.checked_sub(0xDC00)?)?);
            return rest.get(10..);
        }
        value.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        return rest.get(digits..);
    }
    match c {
        'n' => value.push('\n'),
        't' => value.push('\t'),
        'r' => value.push('\r'),
        'b' => value.push('\u{8}'),
        'f' => value.push('\u{c}'),
        '0' => value.push('\0'),
        '\n' => {}
        '\\' | '\'' | '"' => value.push(c),
        // Python keeps the backslash of an escape that it doesn't know.
        other => value.extend(['\\', other]),
    }
    Some(rest)
}

/// A value as a Python literal, which is its JSON with other names for three constants.
pub(super) fn from_json(value: &Value) -> String {
    let json = spaced(value);
    let mut python = String::with_capacity(json.len());
    let (mut inside, mut escaped) = (false, false);
    let mut rest = json.as_str();
    while let Some(c) = rest.chars().next() {
        let constant = [("true", "True"), ("false", "False"), ("null", "None")].into_iter();
        if let Some((json, name)) = constant.filter(|_| !inside).find(|(json, _)| rest.starts_with(json)) {
            python.push_str(name);
            rest = &rest[json.len()..];
            continue;
        }
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => inside = !inside,
            _ => {}
        }
        python.push(c);
        rest = &rest[c.len_utf8()..];
    }
    python
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(literal: &str, expect: impl Into<Option<Value>>) {
        assert_eq!(to_json(literal).ok(), expect.into(), "{literal}");
    }

    #[test]
    fn literals_are_read() {
        check("1_000", Some(json!(1000)));
        check("-2.50", Some(json!(-2.5)));
        check(".5", Some(json!(0.5)));
        check("'a\\'b\\x41\\u00e9\\n'", Some(json!("a'bAé\n")));
        check("'\\ud83d\\ude00'", Some(json!("😀")));
        check("'''a\n'b' '''", Some(json!("a\n'b' ")));
        check("''", Some(json!("")));
        check("[1, (2, 3,), {'k': None}, ]", Some(json!([1, [2, 3], {"k": null}])));
        check("open('x')", None);
        check("x", None);
        check("'a", None);
        check("[1", None);
        check("", None);
    }

    #[test]
    fn literals_are_written() {
        assert_eq!(
            from_json(&json!({"a": [true, null, "true \\ \" null"]})),
            r#"{"a": [True, None, "true \\ \" null"]}"#
        );
    }
}
