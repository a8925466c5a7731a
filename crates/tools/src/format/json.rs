//! Reads and writes JSON as the formats have it.

use std::io;
use std::ops::Range;

use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::{Map, Value};
use turnwise_json::beyond_64_bits;
use turnwise_trajectory::{MalformedCall, ToolCall, ViolationKind};

use super::found_call::Found;
use super::grammar::check_name;

/// The usual beginning of a call's object.
pub(super) const OBJECT: &str = "{\"name\"";
/// The usual beginning of a list of calls.
pub(super) const OBJECTS: &str = "[{\"name\"";

/// Reads calls: one object, several, or a list of them. Each has a string `name` and an object under the
/// first of `keys` that it holds.
pub(super) fn read_calls(body: &str, keys: &[&str], span: &Range<usize>) -> Vec<Found> {
    let found = |verdict, recovered| Found { verdict, recovered };
    let values = match parse_all(body) {
        Ok(values) => values,
        Err(wrong) => {
            let meant = repair(body).and_then(|repaired| parse_all(&repaired).ok()?.into_iter().next());
            let recovered = meant.and_then(|value| lenient(&value, keys)).map(|parts| parts.at(span));
            return vec![found(Err(wrong.at(span)), recovered)];
        }
    };
    if values.is_empty() {
        return vec![found(Err(Wrong::empty().at(span)), None)];
    }
    let read = |value: Value| match call(value.clone(), keys) {
        Ok(parts) => found(Ok(parts.at(span)), None),
        Err(wrong) => found(Err(wrong.at(span)), lenient(&value, keys).map(|parts| parts.at(span))),
    };
    values.into_iter().map(read).collect()
}

/// Returns the objects of a text: one, several in a row, or lists of them.
pub(super) fn objects(body: &str) -> Option<Vec<Value>> {
    parse_all(body).ok()
}

/// Returns whether an object is a call. An answer in JSON may have a `name` too.
pub(super) fn looks_like_call(value: &Value, keys: &[&str]) -> bool {
    let Some(object) = value.as_object() else { return false };
    let named = object.get("name").is_some_and(Value::is_string);
    let about = |key: &String| {
        matches!(key.as_str(), "name" | "type" | "id" | "function") || keys.contains(&key.as_str())
    };
    if listed(value).iter().any(|call| looks_like_call(call, keys)) {
        return true;
    }
    match keys.iter().find_map(|key| object.get(*key)) {
        Some(Value::Object(_)) => named || object.keys().all(about),
        Some(Value::String(_) | Value::Null) => named,
        Some(_) => false,
        None => named && object.keys().all(about) || object.get("function").is_some_and(Value::is_object),
    }
}

/// Returns the calls of an object with a list of them, as OpenAI's interface writes a whole message.
fn listed(value: &Value) -> &[Value] {
    value.get("tool_calls").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Returns whether an object or the objects that it wraps have arguments.
fn has_arguments(value: &Value, keys: &[&str]) -> bool {
    keys.iter().any(|key| value.get(key).is_some())
        || value.get("function").is_some_and(|function| has_arguments(function, keys))
        || listed(value).iter().any(|call| has_arguments(call, keys))
}

/// Returns the violation of a call that lacks its opening marker. Other JSON is an answer.
pub(super) fn read_unmarked(text: &str, open: &str, span: &Range<usize>) -> Vec<Found> {
    let keys = &["arguments", "parameters"];
    let is_call = |object: &&Value| looks_like_call(object, keys) && has_arguments(object, keys);
    let objects = objects(text).unwrap_or_default();
    let Some(meant) = objects.iter().find(is_call) else { return Vec::new() };
    let wrong = Wrong(ViolationKind::InvalidJson, format!("a call without {open}"));
    let recovered = lenient(meant, keys).map(|parts| parts.at(span));
    vec![Found { verdict: Err(wrong.at(span)), recovered }]
}

/// Reads arguments that are written apart from the name.
pub(super) fn read_arguments(name: &str, body: &str, span: Range<usize>) -> Found {
    let read = |body: &str| {
        check_name(name).map_err(|message| Wrong(ViolationKind::InvalidJson, message))?;
        match parse(body)? {
            Value::Object(arguments) => Ok(Parts { name: name.into(), arguments }),
            _ => Err(Wrong(ViolationKind::InvalidJson, "the arguments are not an object".into())),
        }
    };
    match read(body) {
        Ok(parts) => Found { verdict: Ok(parts.at(&span)), recovered: None },
        Err(wrong) => {
            let recovered = repair(body).and_then(|body| read(&body).ok()).map(|parts| parts.at(&span));
            Found { verdict: Err(wrong.at(&span)), recovered }
        }
    }
}

/// A call without its place.
struct Parts {
    name: String,
    arguments: Map<String, Value>,
}

impl Parts {
    fn at(self, span: &Range<usize>) -> ToolCall {
        ToolCall { name: self.name, arguments: self.arguments, span: span.clone() }
    }
}

/// A fault without its place.
struct Wrong(ViolationKind, String);

impl Wrong {
    fn empty() -> Self {
        Self(ViolationKind::Empty, "the call is empty".into())
    }

    fn at(self, span: &Range<usize>) -> MalformedCall {
        MalformedCall { kind: self.0, message: self.1, span: span.clone() }
    }
}

/// Returns the JSON that a text holds, or else the text: a value without a schema. Text that looks like JSON
/// is written as a quoted string. JSON with an integer beyond 64 bits stays text, with all its digits.
pub(super) fn json_or_text(raw: &str) -> Value {
    let json = if beyond_64_bits(raw).is_some() { None } else { serde_json::from_str(raw).ok() };
    json.unwrap_or_else(|| Value::from(raw))
}

fn parse(body: &str) -> Result<Value, Wrong> {
    if body.trim().is_empty() {
        return Err(Wrong::empty());
    }
    // serde_json bounds the depth.
    let value = serde_json::from_str(body.trim()).map_err(|error| not_json(&error))?;
    exact(body)?;
    Ok(value)
}

/// Refuses JSON with an integer that would be rounded to a float.
fn exact(json: &str) -> Result<(), Wrong> {
    let wrong = |digits| format!("an integer beyond 64 bits, as a string it would be exact: {digits:.40}");
    beyond_64_bits(json).map_or(Ok(()), |digits| Err(Wrong(ViolationKind::InvalidJson, wrong(digits))))
}

fn not_json(error: &serde_json::Error) -> Wrong {
    Wrong(ViolationKind::InvalidJson, format!("not JSON: {error}"))
}

/// Returns the values of a text, which may be separated by commas or semicolons. Lists give their elements.
fn parse_all(body: &str) -> Result<Vec<Value>, Wrong> {
    let mut rest = body.trim();
    if rest.is_empty() {
        return Err(Wrong::empty());
    }
    let mut values = Vec::new();
    loop {
        let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        match stream.next() {
            Some(Ok(Value::Array(list))) => values.extend(list),
            Some(Ok(value)) => values.push(value),
            Some(Err(error)) => return Err(not_json(&error)),
            None => {
                return Err(Wrong(ViolationKind::InvalidJson, "not JSON: nothing after a separator".into()));
            }
        }
        let (read, after) = rest.split_at(stream.byte_offset());
        exact(read)?;
        rest = after.trim_start();
        if rest.is_empty() {
            return Ok(values);
        }
        rest = rest.strip_prefix([',', ';']).unwrap_or(rest);
    }
}

fn call(value: Value, keys: &[&str]) -> Result<Parts, Wrong> {
    let wrong = |message: String| Err(Wrong(ViolationKind::InvalidJson, message));
    let Value::Object(mut object) = value else { return wrong("not a JSON object".into()) };
    let Some(Value::String(name)) = object.remove("name") else {
        if let Some(key) = ["function", "tool_calls"].into_iter().find(|key| object.contains_key(*key)) {
            return wrong(format!("\"name\" is not at the top of the object, but inside {key:?}"));
        }
        return wrong("\"name\" is not a string".into());
    };
    if name.trim().is_empty() {
        return wrong("the call has no name".into());
    }
    let key = keys.iter().find(|key| object.contains_key(**key)).unwrap_or(&keys[0]);
    let arguments = match object.remove(*key) {
        // OpenAI's interface writes arguments as an object inside a string.
        Some(Value::String(text)) => parse(&text).ok(),
        arguments => arguments,
    };
    match arguments {
        Some(Value::Object(arguments)) => Ok(Parts { name, arguments }),
        _ => wrong(format!("{key:?} is not an object")),
    }
}

/// Returns the call that was evidently meant: one with another key or without arguments.
fn lenient(value: &Value, keys: &[&str]) -> Option<Parts> {
    if let Ok(parts) = call(value.clone(), keys) {
        return Some(parts);
    }
    let known = ["arguments", "parameters"];
    let object = value.as_object()?;
    if let Some(inner) = object.get("function").filter(|inner| inner.is_object()).or(listed(value).first()) {
        return lenient(inner, keys);
    }
    let name = object.get("name")?.as_str().filter(|name| !name.trim().is_empty())?;
    match known.iter().find_map(|key| object.get(*key)) {
        None | Some(Value::Null) => Some(Parts { name: name.into(), arguments: Map::new() }),
        Some(_) => call(value.clone(), &known).ok(),
    }
}

/// Repairs common mistakes of models: raw line breaks in strings, and commas before a closing bracket.
/// Returns none if it finds neither.
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

/// Returns one line of JSON with a blank after each comma and colon. Hugging Face's `tojson` writes this, so
/// models were trained on it.
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

    /// Python's `json` keeps all digits. A float would change the number that the model wrote.
    #[test]
    fn no_integer_becomes_a_float() {
        for big in ["18446744073709551616", "-9223372036854775809", "123456789012345678901234567890"] {
            let body = format!(r#"{{"name": "f", "arguments": {{"x": {big}}}}}"#);
            let found = read_calls(&body, &["arguments"], &(0..body.len())).remove(0);
            let wrong = found.verdict.unwrap_err();
            assert_eq!(wrong.kind, ViolationKind::InvalidJson);
            assert!(wrong.message.ends_with(big) && found.recovered.is_none(), "{}", wrong.message);
            assert!(read_arguments("f", &format!(r#"{{"x": {big}}}"#), 0..1).verdict.is_err());
            let quoted = format!(r#"{{"name": "f", "arguments": "{{\"x\": {big}}}"}}"#);
            assert!(read_calls(&quoted, &["arguments"], &(0..1))[0].verdict.is_err());
            assert_eq!(json_or_text(big), Value::from(big));
        }
    }

    #[test]
    fn common_slips_are_undone() {
        assert_eq!(repair("{\"a\": \"x\ny\"}").as_deref(), Some("{\"a\": \"x\\ny\"}"));
        assert_eq!(repair("{\"a\": [1, 2, ], }").as_deref(), Some("{\"a\": [1, 2 ] }"));
        assert_eq!(repair("{\"a\": \",}\\\"\"}"), None);
    }
}
