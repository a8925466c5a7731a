//! The input of a response: a text, or items that are messages, calls and their outputs.

use serde_json::{Value, json};

use crate::dialect::fields::{Fields, wrong};
use crate::dialect::messages::{arguments_of, parts_text};
use crate::refusal::Refusal;

/// Writes a conversation in the form of chat completions.
pub(super) fn conversation(request: &Fields<'_>) -> Result<Vec<Value>, Refusal> {
    let mut all = Vec::new();
    if let Some(text) = request.text("instructions")? {
        all.push(json!({"role": "system", "content": text}));
    }
    match request.get("input") {
        None => return Err(Refusal::at("input", "is missing")),
        Some(Value::String(text)) => all.push(json!({"role": "user", "content": text})),
        Some(Value::Array(items)) if items.is_empty() => {
            return Err(Refusal::at("input", "holds no message"));
        }
        Some(Value::Array(items)) => {
            for (at, value) in items.iter().enumerate() {
                item(&Fields::of(value, format!("input[{at}]"))?, &mut all)?;
            }
        }
        Some(other) => return Err(wrong("input", other, "a text or a list of items")),
    }
    Ok(all)
}

/// Adds an item.
fn item(item: &Fields<'_>, all: &mut Vec<Value>) -> Result<(), Refusal> {
    match item.text("type")?.unwrap_or("message") {
        "message" => {
            item.only(&[&["type", "role", "content", "id", "status", "phase"]])?;
            let role = item.needed("role")?;
            let content = match item.get("content") {
                None => return Err(Refusal::at(item.place("content"), "is missing")),
                Some(Value::String(text)) => text.clone(),
                Some(Value::Array(parts)) => {
                    let kinds = ["input_text", "output_text", "text"];
                    parts_text(parts, &item.place("content"), &kinds)?
                }
                Some(other) => return Err(wrong(&item.place("content"), other, "a text or a list of parts")),
            };
            if !["system", "developer", "user", "assistant"].contains(&role) {
                let hint = "system, developer, user and assistant are";
                return Err(Refusal::unsupported(item.place("role"), hint));
            }
            all.push(json!({"role": role, "content": content}));
        }
        "function_call" => {
            item.only(&[&["type", "call_id", "name", "arguments", "id", "status"]])?;
            // Places in the messages that these items become aren't the request's.
            let arguments = arguments_of(item.needed("arguments")?, &item.place("arguments"))?;
            let function = json!({"name": item.needed("name")?, "arguments": arguments});
            let call = json!({"id": item.needed("call_id")?, "type": "function", "function": function});
            // Calls belong to the message before them, as they were sampled in one turn.
            match all.last_mut().filter(|last| last["role"] == "assistant") {
                Some(last) => match last["tool_calls"].as_array_mut() {
                    Some(calls) => calls.push(call),
                    None => last["tool_calls"] = json!([call]),
                },
                None => all.push(json!({"role": "assistant", "content": "", "tool_calls": [call]})),
            }
        }
        "function_call_output" => {
            item.only(&[&["type", "call_id", "output", "id", "status"]])?;
            let output = match item.get("output") {
                Some(Value::Array(parts)) => parts_text(parts, &item.place("output"), &["input_text"])?,
                _ => item.needed("output")?.to_string(),
            };
            all.push(json!({"role": "tool", "tool_call_id": item.needed("call_id")?, "content": output}));
        }
        _ => {
            let hint = "messages, function_call and function_call_output are";
            return Err(Refusal::unsupported(item.place("type"), hint));
        }
    }
    Ok(())
}
