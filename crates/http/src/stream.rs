//! Reads an answer of server-sent events, even if none were requested, as one answer.

use serde_json::{Value, json};

use crate::sse::events;
use crate::{json as lenient, short};

/// Returns whether a body begins as a stream of events.
pub(crate) fn is_stream(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    ["data:", "event:", "id:", "retry:", ":"].iter().any(|field| text.starts_with(field))
}

/// Joins a stream of chat completion chunks to one answer, or returns the error in it.
///
/// # Errors
/// If an event isn't JSON, or the stream ends before the answer does.
pub(crate) fn whole(text: &str) -> Result<Value, String> {
    let (mut said, mut is_whole) = (Said::default(), false);
    for data in events(text.as_bytes(), u64::MAX)? {
        let data = String::from_utf8_lossy(&data);
        if data.trim() == "[DONE]" {
            is_whole = true;
            break;
        }
        let chunk: Value = lenient::read(&data).map_err(|error| {
            format!("an event of the stream is no whole JSON ({error}): {}", short(&data))
        })?;
        if !chunk["error"].is_null() || chunk["object"] == "error" {
            return Ok(chunk);
        }
        let choices = chunk["choices"].as_array().into_iter().flatten();
        choices
            .filter(|choice| choice["index"].as_u64().unwrap_or(0) == 0)
            .for_each(|choice| said.add(choice));
    }
    if is_whole || !said.choice["finish_reason"].is_null() {
        Ok(said.answer())
    } else {
        Err(format!("the stream ends before its answer does: {}", short(text)))
    }
}

/// Holds the first choice so far.
#[derive(Default)]
struct Said {
    /// Fields of a choice besides its text: the finish reason, an error.
    choice: Value,
    /// Pieces of texts by their keys: `content`, `refusal`.
    message: Value,
    calls: Vec<Call>,
}

/// Holds a call so far.
struct Call {
    index: Option<u64>,
    name: Value,
    arguments: Value,
}

impl Said {
    fn add(&mut self, choice: &Value) {
        if self.choice.is_null() {
            self.choice = json!({});
        }
        for key in ["finish_reason", "error"] {
            if !choice[key].is_null() {
                self.choice[key] = choice[key].clone();
            }
        }
        // The older completions protocol.
        push(&mut self.choice, choice, "text");
        let delta = if choice["delta"].is_object() { &choice["delta"] } else { &choice["message"] };
        if !delta.is_object() {
            return;
        }
        for key in ["content", "refusal"] {
            push(&mut self.message, delta, key);
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            self.call(call["index"].as_u64(), &call["function"]);
        }
        if delta["function_call"].is_object() {
            self.call(Some(0), &delta["function_call"]);
        }
    }

    fn call(&mut self, index: Option<u64>, function: &Value) {
        let is_named = function["name"].as_str().is_some_and(|name| !name.is_empty());
        let place = match index {
            Some(_) => self.calls.iter().position(|call| call.index == index),
            // Without an index, a name begins a call.
            None => self.calls.len().checked_sub(1).filter(|_| !is_named),
        };
        let place = place.unwrap_or_else(|| {
            self.calls.push(Call { index, name: Value::Null, arguments: Value::Null });
            self.calls.len() - 1
        });
        let call = &mut self.calls[place];
        if call.name.is_null() && is_named {
            call.name = function["name"].clone();
        }
        match (&mut call.arguments, &function["arguments"]) {
            (_, Value::Null) => {}
            (Value::String(text), Value::String(piece)) => text.push_str(piece),
            (arguments, piece) => *arguments = piece.clone(),
        }
    }

    /// Returns the answer as a server without streaming gives it.
    fn answer(self) -> Value {
        let Self { mut choice, mut message, calls } = self;
        if choice.is_null() {
            return json!({"choices": []});
        }
        if !calls.is_empty() {
            let call = |call: Call| {
                let function = json!({"name": call.name, "arguments": call.arguments});
                json!({"type": "function", "function": function})
            };
            message["tool_calls"] = calls.into_iter().map(call).collect();
        }
        if choice["text"].is_null() {
            choice["message"] = if message.is_null() { json!({}) } else { message };
        }
        json!({"choices": [choice]})
    }
}

/// Adds a piece of text to the list of its pieces.
fn push(to: &mut Value, from: &Value, key: &str) {
    if from[key].is_null() {
        return;
    }
    match &mut to[key] {
        Value::Array(pieces) => pieces.push(from[key].clone()),
        none => *none = json!([from[key]]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the stream of these events, as it is read.
    fn reads(events: &[Value], done: &str) -> Result<Value, String> {
        let lines: Vec<String> = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        whole(&(lines.concat() + done))
    }

    fn delta(delta: &Value) -> Value {
        json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
    }

    #[test]
    fn pieces_become_one_answer() {
        let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
        let events = [
            delta(&json!({"role": "assistant", "content": "a"})),
            delta(&json!({"content": "b"})),
            end.clone(),
        ];
        let answer = json!({"choices": [{"message": {"content": ["a", "b"]}, "finish_reason": "stop"}]});
        for done in ["", "data: [DONE]\n\n", "data:[DONE]"] {
            assert_eq!(reads(&events, done), Ok(answer.clone()));
        }
        let lines: Vec<String> = events.iter().map(|event| format!("data: {event}\r\r")).collect();
        assert_eq!(whole(&lines.concat()), Ok(answer.clone()), "lines that end with CR alone");
        let with_other = json!({"choices": [{"index": 1, "delta": {"content": "x"}}]});
        let usage = json!({"choices": [], "usage": {"total_tokens": 3}});
        let [a, b, _] = events;
        assert_eq!(reads(&[a, with_other, b, end, usage], "data: [DONE]\n"), Ok(answer));
    }

    #[test]
    fn pieces_of_calls_are_joined_by_their_index() {
        let call = |call: &Value| delta(&json!({"tool_calls": [call]}));
        let named = |index: u64, name: &str| {
            call(&json!({"index": index, "id": "x", "function": {"name": name, "arguments": ""}}))
        };
        let piece = |index: u64, text: &str| call(&json!({"index": index, "function": {"arguments": text}}));
        let events = [named(0, "f"), piece(0, "{\"a\""), named(1, "g"), piece(1, "{}"), piece(0, ": 1}")];
        let function = |name: &str, arguments: &str| {
            let function = json!({"name": name, "arguments": arguments});
            json!({"type": "function", "function": function})
        };
        let answer = reads(&events, "data: [DONE]").unwrap();
        let calls = &answer["choices"][0]["message"]["tool_calls"];
        assert_eq!(*calls, json!([function("f", "{\"a\": 1}"), function("g", "{}")]));
    }

    #[test]
    fn a_stream_that_breaks_off_is_no_answer() {
        assert!(reads(&[delta(&json!({"content": "a"}))], "").unwrap_err().contains("ends before"));
        assert!(
            reads(&[delta(&json!({"content": "a"}))], "data: {\"cho").unwrap_err().contains("no whole JSON")
        );
        let error = json!({"error": {"message": "overloaded", "code": 503}});
        assert_eq!(reads(&[delta(&json!({"content": "a"})), error.clone()], ""), Ok(error));
        assert_eq!(reads(&[], "data: [DONE]"), Ok(json!({"choices": []})));
    }

    #[test]
    fn a_stream_is_known_by_its_first_field() {
        for text in ["data: {}", "\n: ping\n\ndata: {}", "event: x\ndata: {}", "\u{feff}id: 1\n"] {
            assert!(is_stream(text), "{text}");
        }
        assert!(!is_stream("{\"data\": 1}") && !is_stream("") && !is_stream("<html>"));
    }
}
