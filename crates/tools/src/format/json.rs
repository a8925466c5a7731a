//! JSON as the formats read and write it.

use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::{Map, Value};
use turnwise_trajectory::{MalformedCall, ToolCall, ViolationKind};

/// Reads a call's body: an object with a string `name` and an object `arguments`.
pub(super) fn read_call(body: &str, span: std::ops::Range<usize>) -> Result<ToolCall, MalformedCall> {
    let malformed = |kind, message: String| Err(MalformedCall { kind, message, span: span.clone() });
    if body.trim().is_empty() {
        return malformed(ViolationKind::Empty, "the call is empty".into());
    }
    let object: Map<String, Value> = match serde_json::from_str(body.trim()) {
        Ok(object) => object,
        Err(error) => return malformed(ViolationKind::InvalidJson, format!("not a JSON object: {error}")),
    };
    let name = match object.get("name") {
        Some(Value::String(name)) => name.clone(),
        _ => return malformed(ViolationKind::InvalidJson, "\"name\" is not a string".into()),
    };
    match object.get("arguments") {
        Some(Value::Object(arguments)) => Ok(ToolCall { name, arguments: arguments.clone(), span }),
        _ => malformed(ViolationKind::InvalidJson, "\"arguments\" is not an object".into()),
    }
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
}
