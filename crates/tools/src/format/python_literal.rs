//! Converts Python literals to JSON and back.

use serde_json::{Map, Value};

use super::json::spaced;
use super::quotes::PythonQuotes;

/// Splits a text at the commas outside brackets and strings.
pub(super) fn split_top(text: &str) -> Vec<&str> {
    split_at(text, b",")
}

/// Splits a text at these bytes outside brackets and strings.
pub(super) fn split_at<'a>(text: &'a str, separators: &[u8]) -> Vec<&'a str> {
    let bytes = text.as_bytes();
    let (mut quotes, mut depth, mut start, mut at) = (PythonQuotes::default(), 0i32, 0, 0);
    let mut pieces = Vec::new();
    while at < bytes.len() {
        if !quotes.hide(bytes[at]) {
            match bytes[at] {
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth -= 1,
                byte if depth == 0 && separators.contains(&byte) => {
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

/// Returns the value of a Python literal as `ast.literal_eval` reads it, with tuples as lists.
///
/// It fails for literals that JSON can't hold: bytes, sets, complex numbers, integers beyond 64 bits. JSON's
/// names of constants are read as well.
pub(super) fn to_json(literal: &str) -> Result<Value, String> {
    let mut reader = Reader { rest: literal, depth: 0 };
    let value =
        reader.value().and_then(|value| if reader.blank().is_empty() { Ok(value) } else { Err(None) });
    value.map_err(|message| message.unwrap_or_else(|| format!("not a literal: {literal:.40}")))
}

/// Maximum depth of brackets, as in JSON.
const MAX_DEPTH: usize = 127;

/// Message about a literal, if more is known than that it isn't one.
type Wrong = Option<String>;

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// Skips blanks and returns the rest of the text.
    fn blank(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        self.rest
    }

    /// Takes `text` if it comes next, and returns whether it did.
    fn takes(&mut self, text: &str) -> bool {
        let after = self.blank().strip_prefix(text);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn value(&mut self) -> Result<Value, Wrong> {
        if self.depth > MAX_DEPTH {
            return Err(Some("a literal nests too deep".into()));
        }
        self.depth += 1;
        let value = match self.blank().chars().next() {
            Some('[') => self.items('[', ']').map(|(items, _)| Value::from(items)),
            Some('(') => self.items('(', ')').map(|(mut items, commas)| match items.pop() {
                // Parentheses alone make no tuple.
                Some(item) if items.is_empty() && !commas => item,
                last => items.into_iter().chain(last).collect(),
            }),
            Some('{') => self.dictionary(),
            Some('-' | '+' | '.' | '0'..='9') => self.number(),
            Some(_) => self.strings_or_name(),
            None => Err(None),
        };
        self.depth -= 1;
        value
    }

    /// Returns the items between brackets, and whether there are commas.
    fn items(&mut self, open: char, close: char) -> Result<(Vec<Value>, bool), Wrong> {
        self.rest = &self.rest[open.len_utf8()..];
        let (mut items, mut commas) = (Vec::new(), false);
        while !self.blank().starts_with(close) {
            items.push(self.value()?);
            if !self.takes(",") {
                break;
            }
            commas = true;
        }
        if self.takes(close.encode_utf8(&mut [0; 4])) { Ok((items, commas)) } else { Err(None) }
    }

    fn dictionary(&mut self) -> Result<Value, Wrong> {
        self.rest = &self.rest[1..];
        let mut entries = Map::new();
        while !self.blank().starts_with('}') {
            let Value::String(key) = self.value()? else {
                return Err(Some("a key of a dictionary is not a string".into()));
            };
            if !self.takes(":") {
                return Err(None);
            }
            let value = self.value()?;
            entries.insert(key, value);
            if !self.takes(",") {
                break;
            }
        }
        if self.takes("}") { Ok(Value::Object(entries)) } else { Err(None) }
    }

    fn number(&mut self) -> Result<Value, Wrong> {
        let negative = self.rest.starts_with('-');
        self.rest = self.rest.strip_prefix(['-', '+']).unwrap_or(self.rest);
        let text = self.blank();
        let mut end = 0;
        while let Some(c) = text[end..].chars().next() {
            let exponent = end > 0 && text[..end].ends_with(['e', 'E']) && !text.starts_with("0x");
            if !(c.is_alphanumeric() || matches!(c, '_' | '.') || exponent && matches!(c, '+' | '-')) {
                break;
            }
            end += c.len_utf8();
        }
        self.rest = &text[end..];
        number(&text[..end], negative)
            .ok_or_else(|| Some(format!("not a number of JSON: {:.40}", &text[..end])))
    }

    /// Reads the name of a constant, or adjacent string literals, which are joined.
    fn strings_or_name(&mut self) -> Result<Value, Wrong> {
        let text = self.rest;
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
        let (word, after) = text.split_at(end);
        if !after.starts_with(['"', '\'']) {
            self.rest = after;
            return match word {
                "True" | "true" => Ok(true.into()),
                "False" | "false" => Ok(false.into()),
                "None" | "null" => Ok(Value::Null),
                _ => Err(None),
            };
        }
        let mut joined = None;
        loop {
            let text = self.blank();
            let is_prefix = |quote: &usize| text[..*quote].chars().all(char::is_alphabetic) && *quote <= 2;
            let Some(quote) = text.find(['"', '\'']).filter(is_prefix) else { break };
            let raw = match &text[..quote] {
                "" | "u" | "U" => false,
                "r" | "R" => true,
                prefix => return Err(Some(format!("a string that JSON doesn't have: {prefix}'…'"))),
            };
            self.rest = string(&text[quote..], raw, joined.get_or_insert_default())?;
        }
        joined.map(Value::from).ok_or(None)
    }
}

/// Returns the value of a number's digits.
fn number(text: &str, negative: bool) -> Option<Value> {
    let lower = text.to_ascii_lowercase();
    let radix = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter().find(|(prefix, _)| lower.starts_with(prefix));
    let digits = radix.map_or(lower.as_str(), |(prefix, _)| &lower[prefix.len()..]);
    let base = radix.map_or(10, |(_, base)| base);
    // An underscore stands between digits, or after the prefix.
    let between = |at: usize| {
        let digit = |byte: Option<&u8>| byte.is_some_and(|byte| char::from(*byte).is_digit(base));
        let before = at == 0 && radix.is_some() || at > 0 && digit(digits.as_bytes().get(at - 1));
        before && digit(digits.as_bytes().get(at + 1))
    };
    if digits.match_indices('_').any(|(at, _)| !between(at)) {
        return None;
    }
    let digits = digits.replace('_', "");
    let signed = if negative { format!("-{digits}") } else { digits.clone() };
    if !digits.is_empty() && digits.chars().all(|c| c.is_digit(base)) {
        let is_octal_of_python_2 =
            base == 10 && digits.starts_with('0') && digits.contains(|c: char| c != '0');
        let integer = i64::from_str_radix(&signed, base).map(Value::from);
        let integer = integer.or_else(|_| u64::from_str_radix(&signed, base).map(Value::from));
        return integer.ok().filter(|_| !is_octal_of_python_2);
    }
    let is_float = base == 10 && digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let float: f64 = signed.parse().ok().filter(|_| is_float)?;
    float.is_finite().then(|| Value::from(float))
}

/// Appends the string literal that `text` starts with, and returns the text after it.
fn string<'a>(text: &'a str, raw: bool, value: &mut String) -> Result<&'a str, Wrong> {
    let unclosed = || Some(format!("a string is never closed: {text:.40}"));
    let quote = &text[..1];
    let triple = quote.repeat(3);
    let close = if text.starts_with(&triple) { triple.as_str() } else { quote };
    let mut rest = &text[close.len()..];
    loop {
        if let Some(after) = rest.strip_prefix(close) {
            return Ok(after);
        }
        let c = rest.chars().next().filter(|c| *c != '\n' || close.len() == 3).ok_or_else(unclosed)?;
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' if raw => {
                // The backslash stays, and the character after it doesn't end the string.
                let next = rest.chars().next().ok_or_else(unclosed)?;
                value.extend([c, next]);
                rest = &rest[next.len_utf8()..];
            }
            '\\' => {
                let wrong = || Some(format!("an escape that isn't one: \\{rest:.10}"));
                rest = escape(rest, value).ok_or_else(wrong)?;
            }
            _ => value.push(c),
        }
    }
}

/// Appends the character of an escape, and returns the text after it.
fn escape<'a>(text: &'a str, value: &mut String) -> Option<&'a str> {
    let c = text.chars().next()?;
    let rest = &text[c.len_utf8()..];
    let code = |text: &str, base: u32| {
        let is_digits = text.chars().all(|c| c.is_digit(base));
        u32::from_str_radix(text, base).ok().filter(|_| is_digits)
    };
    let digits = match c {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => 0,
    };
    if digits > 0 {
        let unit = code(rest.get(..digits)?, 16)?;
        // JSON writes a character beyond the first plane as two escapes.
        let low = rest.get(4..10).and_then(|low| low.strip_prefix("\\u"));
        if let (4, 0xD800..0xDC00, Some(low)) = (digits, unit, low) {
            let low = code(low, 16)?.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
            value.push(char::from_u32(0x10000 + ((unit - 0xD800) << 10) + low)?);
            return rest.get(10..);
        }
        value.push(char::from_u32(unit)?);
        return rest.get(digits..);
    }
    match c {
        'n' => value.push('\n'),
        't' => value.push('\t'),
        'r' => value.push('\r'),
        'a' => value.push('\u{7}'),
        'b' => value.push('\u{8}'),
        'f' => value.push('\u{c}'),
        'v' => value.push('\u{b}'),
        '0'..='7' => {
            let octal = text.bytes().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
            value.push(char::from_u32(code(&text[..octal], 8)?)?);
            return text.get(octal..);
        }
        '\n' => {}
        '\\' | '\'' | '"' => value.push(c),
        // Characters by name need a table of all names.
        'N' => return None,
        // Python keeps the backslash of an escape that it doesn't know.
        other => value.extend(['\\', other]),
    }
    Some(rest)
}

/// Returns a value as a Python literal, which is its JSON with other names for three constants.
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
    fn literals_are_those_of_literal_eval() {
        for (literal, value) in [
            ("('a')", json!("a")),
            ("('a',)", json!(["a"])),
            ("()", json!([])),
            ("((1), [(2)])", json!([1, [2]])),
            ("('a' \"b\"\n r'\\c')", json!("ab\\c")),
            (r"r'\d+'", json!(r"\d+")),
            (r"R'\''", json!(r"\'")),
            (r"u'\x41'", json!("A")),
            (r"'\033[0m'", json!("\u{1b}[0m")),
            (r"'\0\7\101\1012'", json!("\0\u{7}AA2")),
            (r"'\a\b\f\v\q'", json!("\u{7}\u{8}\u{c}\u{b}\\q")),
            ("'a\\\nb'", json!("ab")),
            (r"'\U0001F600'", json!("😀")),
            ("0x1F", json!(31)),
            ("-0b1_01", json!(-5)),
            ("0o17", json!(15)),
            ("00", json!(0)),
            ("- 5", json!(-5)),
            ("1e-3", json!(0.001)),
            ("1_0.5_0E+1", json!(105.0)),
            ("01.5", json!(1.5)),
            ("18446744073709551615", json!(u64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("{'a': 1, 'a': 2,}", json!({"a": 2})),
        ] {
            check(literal, Some(value));
        }
        // JSON has no such value, or Python no such literal.
        let refused = "b'x' | f'{x}' | rb'x' | {1, 2} | {1: 2} | 1j | 1+2j | 18446744073709551616 | 1e999 | nan | -True \
            | --1 | 012 | 1__0 | _1 | 1_ | 1_e5 | 0x | 0b2 | x'a' | '\\x4' | '\\ud83d' | '\\N{DASH}' | 'a\nb' | 'a | '''a' \
            | [1,,2] | [,] | (1 2) | {'a'} | {'a': } | [1) | not True | ...";
        for literal in refused.split(" | ") {
            check(literal.trim(), None);
        }
        assert!(to_json(&"[".repeat(100_000)).is_err(), "what nests too deep is refused");
        assert!(to_json("b'x'").unwrap_err().contains("b'…'"), "a message says what is wrong");
    }

    #[test]
    fn literals_are_written() {
        assert_eq!(
            from_json(&json!({"a": [true, null, "true \\ \" null"]})),
            r#"{"a": [True, None, "true \\ \" null"]}"#
        );
    }
}
