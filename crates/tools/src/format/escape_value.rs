//! Reads and writes the values of FunctionGemma: `{key:<escape>text<escape>,other:[1,true]}`.

use std::fmt::Write;

use serde_json::{Map, Value};
use turnwise_json::beyond_64_bits;

use super::json::spaced;

/// The mark on both sides of a text.
pub(super) const MARK: &str = "<escape>";

/// Returns the object that a text holds and nothing else.
pub(super) fn read_object(text: &str) -> Result<Map<String, Value>, String> {
    let mut reader = Reader { rest: text, depth: 0 };
    let read = reader.object()?;
    match reader.blank() {
        "" => Ok(read),
        rest => Err(format!("something follows the arguments: {rest:.40}")),
    }
}

/// Maximum depth of brackets, as in JSON.
const MAX_DEPTH: usize = 127;

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

    fn expect(&mut self, text: &str) -> Result<(), String> {
        if self.takes(text) { Ok(()) } else { Err(format!("no {text:?} before {:.40}", self.rest)) }
    }

    fn object(&mut self) -> Result<Map<String, Value>, String> {
        self.expect("{")?;
        let mut entries = Map::new();
        while !self.takes("}") {
            let key = self.key()?;
            self.expect(":")?;
            let value = self.value()?;
            entries.insert(key, value);
            if !self.takes(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(entries)
    }

    fn key(&mut self) -> Result<String, String> {
        if let Some(text) = self.text()? {
            return Ok(text);
        }
        let end = self.rest.find([':', ',', '{', '}', '[', ']', '<', '"']).unwrap_or(self.rest.len());
        let key = self.rest[..end].trim_end();
        if key.is_empty() {
            return Err(format!("no key before {:.40}", self.rest));
        }
        self.rest = &self.rest[end..];
        Ok(key.into())
    }

    fn value(&mut self) -> Result<Value, String> {
        if self.depth > MAX_DEPTH {
            return Err("a value nests too deep".into());
        }
        self.depth += 1;
        let value = match self.text()? {
            Some(text) => Value::from(text),
            None if self.rest.starts_with('{') => Value::from(self.object()?),
            None if self.rest.starts_with('[') => Value::from(self.list()?),
            None => self.constant()?,
        };
        self.depth -= 1;
        Ok(value)
    }

    fn list(&mut self) -> Result<Vec<Value>, String> {
        self.expect("[")?;
        let mut items = Vec::new();
        while !self.takes("]") {
            items.push(self.value()?);
            if !self.takes(",") {
                self.expect("]")?;
                break;
            }
        }
        Ok(items)
    }

    /// Reads a text between marks, or a string of JSON; none if there's neither.
    fn text(&mut self) -> Result<Option<String>, String> {
        let rest = self.blank();
        if let Some(text) = rest.strip_prefix(MARK) {
            let (text, after) =
                text.split_once(MARK).ok_or_else(|| format!("a text has no second {MARK}"))?;
            self.rest = after;
            return Ok(Some(text.into()));
        }
        if !rest.starts_with('"') {
            return Ok(None);
        }
        let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<String>();
        match stream.next() {
            Some(Ok(text)) => {
                self.rest = &rest[stream.byte_offset()..];
                Ok(Some(text))
            }
            _ => Err(format!("not a string: {rest:.40}")),
        }
    }

    /// Reads a number or the name of a constant, as JSON or Python writes it.
    fn constant(&mut self) -> Result<Value, String> {
        let end = self.rest.find([',', '}', ']']).unwrap_or(self.rest.len());
        let (word, after) = self.rest.split_at(end);
        self.rest = after;
        match word.trim() {
            "True" => Ok(true.into()),
            "False" => Ok(false.into()),
            "None" => Ok(Value::Null),
            word if beyond_64_bits(word).is_some() => {
                Err(format!("an integer beyond 64 bits, as a text it would be exact: {word:.40}"))
            }
            word => match serde_json::from_str(word) {
                Ok(value @ (Value::Number(_) | Value::Bool(_) | Value::Null)) => Ok(value),
                _ => Err(format!("a text without {MARK}: {word:.40}")),
            },
        }
    }
}

/// Writes an object.
pub(super) fn written(entries: &Map<String, Value>) -> String {
    let mut text = String::new();
    write_object(entries, &mut text);
    text
}

fn write_object(entries: &Map<String, Value>, text: &mut String) {
    text.push('{');
    for (nth, (key, value)) in entries.iter().enumerate() {
        let special = |c: char| c.is_whitespace() || ":,{}[]<\"".contains(c);
        let key = if key.is_empty() || key.contains(special) { quoted(key) } else { key.clone() };
        let _ = write!(text, "{}{key}:", if nth > 0 { "," } else { "" });
        write_value(value, text);
    }
    text.push('}');
}

fn write_value(value: &Value, text: &mut String) {
    match value {
        Value::String(value) if !value.contains(MARK) => {
            let _ = write!(text, "{MARK}{value}{MARK}");
        }
        Value::String(value) => text.push_str(&quoted(value)),
        Value::Object(entries) => write_object(entries, text),
        Value::Array(items) => {
            text.push('[');
            for (nth, item) in items.iter().enumerate() {
                text.push_str(if nth > 0 { "," } else { "" });
                write_value(item, text);
            }
            text.push(']');
        }
        other => text.push_str(&spaced(other)),
    }
}

/// Writes a text that holds the mark as a string of JSON without it.
fn quoted(text: &str) -> String {
    spaced(&text).replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(text: &str, expect: impl Into<Option<Value>>) {
        assert_eq!(read_object(text).ok().map(Value::from), expect.into(), "{text}");
    }

    const BIG: &str = "{x:[18446744073709551616]}";

    #[test]
    fn objects_are_read() {
        check("{x:18446744073709551615}", json!({"x": u64::MAX}));
        check("{}", json!({}));
        check("{x:<escape>a, {b}:\"<escape>}", json!({"x": "a, {b}:\""}));
        check(
            "{ x : 1 , y:[true,None,-2.5], z:{<escape>k<escape>:<escape><escape>} }",
            json!({"x": 1, "y": [true, null, -2.5], "z": {"k": ""}}),
        );
        check("{\"a b\":\"\\u003cescape>\"}", json!({"a b": "<escape>"}));
        for refused in
            ["", "x:1", "{x}", "{x:}", "{x:Paris}", "{x:<escape>a}", "{x:1}y", "{:1}", "{x:[1}", "{x:1", BIG]
        {
            check(refused, None);
        }
        assert!(read_object(&format!("{{x:{}", "[".repeat(100_000))).is_err());
    }

    #[test]
    fn objects_are_written() {
        let object = json!({"x": "a", "y": [1, "é"], "a b": {"k": null}, "m": "<escape>"});
        let written = written(object.as_object().unwrap());
        assert_eq!(
            written,
            "{x:<escape>a<escape>,y:[1,<escape>é<escape>],\"a b\":{k:null},m:\"\\u003cescape>\"}"
        );
        check(&written, object);
    }
}
