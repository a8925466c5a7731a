//! Writes calls that a server parsed in the call format again, so that they are read like any others.

use serde_json::{Map, Value};
use turnwise_http::json;
use turnwise_json::beyond_64_bits;
use turnwise_tools::CallFormat;
use turnwise_trajectory::ToolCall;

/// Appends the message's parsed calls to the text, one a line. Calls that the text already holds are left
/// out.
pub(super) fn append(mut text: String, message: &Value, format: &dyn CallFormat) -> String {
    let said: Vec<ToolCall> = format.parse(&text).into_iter().flatten().collect();
    let single = message["function_call"].is_object().then_some(&message["function_call"]);
    for call in message["tool_calls"].as_array().into_iter().flatten().chain(single) {
        let function = ["function", "custom"].into_iter().map(|key| &call[key]).find(|f| f.is_object());
        let function = function.unwrap_or(call);
        let name = function["name"].as_str().unwrap_or_default();
        let keys = ["arguments", "parameters", "input"];
        let given = keys.into_iter().map(|key| &function[key]).find(|value| !value.is_null());
        let given = given.unwrap_or(&Value::Null);
        let written = match arguments(given) {
            Some(arguments) => {
                if said.iter().any(|call| call.name == name && call.arguments == arguments) {
                    continue;
                }
                written(format, name, arguments)
            }
            None => malformed(format, name, given.as_str().unwrap_or_default()),
        };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&written);
    }
    text
}

/// Returns the arguments of a call: an object, or JSON of one, even if encoded twice. Empty arguments are an
/// empty object. Integers beyond 64 bits have no exact place in it, as in all call formats.
fn arguments(given: &Value) -> Option<Map<String, Value>> {
    match given {
        Value::Null => Some(Map::new()),
        Value::Object(arguments) => Some(arguments.clone()),
        Value::String(text) if text.trim().is_empty() => Some(Map::new()),
        Value::String(text) if beyond_64_bits(text).is_some() => None,
        Value::String(text) => match json::read(text).ok()? {
            Value::String(inner) => json::read(&inner).ok(),
            Value::Object(arguments) => Some(arguments),
            _ => None,
        },
        _ => None,
    }
}

/// Returns a call in the format's text. If the format can't express it, the text is a malformed call.
fn written(format: &dyn CallFormat, name: &str, arguments: Map<String, Value>) -> String {
    let call = ToolCall { name: name.into(), arguments, span: 0..0 };
    let text = format.render(&call);
    match format.parse(&text).as_slice() {
        [Ok(read)] if is_same(read, &call) => text,
        _ => malformed(format, name, &Value::from(call.arguments).to_string()),
    }
}

/// Compares calls without white space around texts, which not all formats keep.
fn is_same(a: &ToolCall, b: &ToolCall) -> bool {
    let same = |(key, value): (&String, &Value)| match (value.as_str(), b.arguments.get(key)) {
        (Some(text), Some(Value::String(other))) => text.trim() == other.trim(),
        (_, other) => Some(value) == other,
    };
    a.name == b.name && a.arguments.len() == b.arguments.len() && a.arguments.iter().all(same)
}

/// Returns a text that the format reads as exactly one malformed call: the policy did call, but the call
/// can't run.
fn malformed(format: &dyn CallFormat, name: &str, raw: &str) -> String {
    let call = |name: &str, arguments: &[(&str, &str)]| ToolCall {
        name: name.into(),
        arguments: arguments.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        span: 0..0,
    };
    let empty = format.render(&call(name, &[]));
    let with_raw = empty.replacen("{}", raw, 1);
    let whole = format.render(&call(name, &[("arguments", raw)]));
    let cut = whole.char_indices().next_back().map_or("", |(last, _)| &whole[..last]).to_string();
    let half =
        whole.char_indices().nth(whole.chars().count() / 2).map_or("", |(at, _)| &whole[..at]).to_string();
    let code = format.render(&call(name, &[("code", "")]));
    let is_malformed = |text: &String| {
        let found = format.parse(text);
        !found.is_empty() && found.iter().all(Result::is_err)
    };
    [with_raw, cut, half, code].into_iter().find(is_malformed).unwrap_or_else(|| format!("{name}({raw})"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use turnwise_tools::FormatName;

    use super::*;

    fn call(arguments: &Value) -> Value {
        json!({"id": "x", "type": "function", "function": {"name": "python", "arguments": arguments}})
    }

    /// Returns the calls that the format reads from an answer with these calls.
    fn found(format: FormatName, message: &Value) -> Vec<Option<Value>> {
        let format = format.build();
        let text = append(message["content"].as_str().unwrap_or_default().into(), message, &*format);
        let read = format.parse(&text).into_iter();
        read.map(|call| call.ok().map(|call| json!({"name": call.name, "arguments": call.arguments})))
            .collect()
    }

    #[test]
    fn parsed_calls_are_read_again_in_every_format() {
        let code = json!({"code": "print(\"é\")\nx = '''</tool_call>'''"});
        let expect = Some(json!({"name": "python", "arguments": code}));
        for format in FormatName::ALL {
            for written in [code.clone(), code.to_string().into()] {
                let message = json!({"content": null, "tool_calls": [call(&written), call(&written)]});
                assert_eq!(found(format, &message), [expect.clone(), expect.clone()], "{format}");
            }
            let old =
                json!({"content": "Let me see.", "function_call": {"name": "python", "arguments": code}});
            assert_eq!(found(format, &old), std::slice::from_ref(&expect), "{format}");
        }
    }

    #[test]
    fn a_call_that_nobody_can_read_is_malformed_in_every_format() {
        for format in FormatName::ALL {
            let big = json!("{\"n\": 18446744073709551616}");
            for raw in [json!("{\"code\": "), json!("print(1)"), json!([1]), json!("[1]"), json!(7), big] {
                let message = json!({"tool_calls": [call(&raw)]});
                let found = found(format, &message);
                assert!(!found.is_empty() && found.iter().all(Option::is_none), "{format} {raw}: {found:?}");
            }
        }
    }

    #[test]
    fn a_call_without_arguments_has_none_and_one_in_the_text_is_not_said_twice() {
        let none = Some(json!({"name": "python", "arguments": {}}));
        for empty in [json!(null), json!(""), json!({}), json!("{}")] {
            let message = json!({"tool_calls": [call(&empty)]});
            assert_eq!(found(FormatName::Hermes, &message), std::slice::from_ref(&none), "{empty}");
        }
        let format = FormatName::Hermes.build();
        let arguments = json!({"code": "1"}).as_object().unwrap().clone();
        let text =
            format.render(&ToolCall { name: "python".into(), arguments: arguments.clone(), span: 0..0 });
        let message = json!({"content": text, "tool_calls": [call(&arguments.into())]});
        assert_eq!(found(FormatName::Hermes, &message).len(), 1);
    }
}
