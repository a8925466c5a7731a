//! JSON as the formats read and write it.

use std::io;
use std::ops::Range;

use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::{Map, Value};
use turnwise_trajectory::{MalformedCall, ToolCall, ViolationKind};

use super::grammar::check_name;
use super::lexer::Found;

/// Reads a call's body: an object with a string `name` and an object under the first of `keys` that is there.
pub(super) fn read_call(body: &str, keys: &[&str], span: Range<usize>) -> Found {
    recovering(body, &span, |body| call(parse(body)?, keys))
}

/// Reads a list of such objects.
pub(super) fn read_calls(body: &str, keys: &[&str], span: &Range<usize>) -> Vec<Found> {
    let list = |text: &str| match parse(text)? {
        Value::Array(list) => Ok::<_, Wrong>(list),
        object => Ok(vec![object]),
    };
    let found = |verdict, recovered| Found { verdict, recovered };
    let list = match list(body) {
        Ok(list) => list,
        Err(wrong) => {
            let meant = repair(body).and_then(|repaired| list(&repaired).ok()?.into_iter().next());
            let recovered = meant.and_then(|value| call(value, keys).ok()).map(|parts| parts.at(span));
            return vec![found(Err(wrong.at(span)), recovered)];
        }
    };
    if list.is_empty() {
        return vec![found(Err(Wrong::empty().at(span)), None)];
    }
    let read = |value| call(value, keys).map(|parts| parts.at(span)).map_err(|wrong| wrong.at(span));
    list.into_iter().map(|value| found(read(value), None)).collect()
}

/// Reads arguments that stand apart from the name.
pub(super) fn read_arguments(name: &str, body: &str, span: Range<usize>) -> Found {
    recovering(body, &span, |body| {
        check_name(name).map_err(|message| Wrong(ViolationKind::InvalidJson, message))?;
        match parse(body)? {
            Value::Object(arguments) => Ok(Parts { name: name.into(), arguments }),
            _ => Err(Wrong(ViolationKind::InvalidJson, "the arguments are not an object".into())),
        }
    })
}

/// A call before it's known where it lies.
struct Parts {
    name: String,
    arguments: Map<String, Value>,
}

impl Parts {
    fn at(self, span: &Range<usize>) -> ToolCall {
        ToolCall { name: self.name, arguments: self.arguments, span: span.clone() }
    }
}

/// What is wrong, before it's known where.
struct Wrong(ViolationKind, String);

impl Wrong {
    fn empty() -> Self {
        Self(ViolationKind::Empty, "the call is empty".into())
    }

    fn at(self, span: &Range<usize>) -> MalformedCall {
        MalformedCall { kind: self.0, message: self.1, span: span.clone() }
    }
}

/// The strict reading, and beside a failure the reading of the repaired text.
fn recovering(body: &str, span: &Range<usize>, read: impl Fn(&str) -> Result<Parts, Wrong>) -> Found {
    match read(body) {
        Ok(parts) => Found { verdict: Ok(parts.at(span)), recovered: None },
        Err(wrong) => {
            let recovered = repair(body).and_then(|body| read(&body).ok()).map(|parts| parts.at(span));
            Found { verdict: Err(wrong.at(span)), recovered }
        }
    }
}

fn parse(body: &str) -> Result<Value, Wrong> {
    if body.trim().is_empty() {
        return Err(Wrong::empty());
    }
    // Its depth is bounded by serde_json.
    serde_json::from_str(body.trim())
        .map_err(|error| Wrong(ViolationKind::InvalidJson, format!("not JSON: {error}")))
}

fn call(value: Value, keys: &[&str]) -> Result<Parts, Wrong> {
    let wrong = |message: String| Err(Wrong(ViolationKind::InvalidJson, message));
    let Value::Object(mut object) = value else { return wrong("not a JSON object".into()) };
    let Some(Value::String(name)) = object.remove("name") else {
        return wrong("\"name\" is not a string".into());
    };
    if let Err(message) = check_name(&name) {
        return wrong(message);
    }
    let key = keys.iter().find(|key| object.contains_key(**key)).unwrap_or(&keys[0]);
    match object.remove(*key) {
        Some(Value::Object(arguments)) => Ok(Parts { name, arguments }),
        _ => wrong(format!("{key:?} is not an object")),
    }
}

/// Undoes what models often get wrong: raw line breaks in strings, commas before a closing bracket. None if there's
/// nothing to undo.
fn repair(body: &str) -> Option<String> {
    let mut repaired = String::with_capacity(body.len() + 16);
    let (mut inside, mut escaped, mut changed) = (false, false, false);
    for (at, c) in body.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if inside => escaped = true,
            '"' => inside = !inside,
            '\n' | '\t' | '\r' if inside => {
                repaired.push_str(c.escape_default().to_string().as_str());
                changed = true;
                continue;
            }
            ',' if !inside && body[at + 1..].trim_start().starts_with(['}', ']']) => {
                changed = true;
                continue;
            }
            _ => {}
        }
        repaired.push(c);
    }
    changed.then_some(repaired)
}

/// One line of JSON with a blank after each comma and colon: what Hugging Face's `tojson` writes, and so what
/// the models were trained on.
pub(super) fn spaced(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Spaced);
    value.serialize(&mut serializer).expect("JSON values serialise to memory");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        w.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        w.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        w.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_spaced_as_in_chat_templates() {
        let value = serde_json::json!({"b": [1, 2.5, "é\n"], "a": {"x": null}});
        assert_eq!(spaced(&value), r#"{"b": [1, 2.5, "é\n"], "a": {"x": null}}"#);
    }

    #[test]
    fn common_slips_are_undone() {
        assert_eq!(repair("{\"a\": \"x\ny\"}").as_deref(), Some("{\"a\": \"x\\ny\"}"));
        assert_eq!(repair("{\"a\": [1, 2, ], }").as_deref(), Some("{\"a\": [1, 2 ] }"));
        assert_eq!(repair("{\"a\": \",}\\\"\"}"), None);
    }
}
