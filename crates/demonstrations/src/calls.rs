//! The calls of a message: arguments as objects, names and arguments checked against the tools on offer.

use serde_json::{Map, Value as Json, json};
use turnwise_tools::{ToolSpec, check_calls};
use turnwise_trajectory::{ToolCall, ViolationKind};

use crate::left_out::{LeftOut, Reason};
use crate::row::said;

/// Checks the calls of a message, and turns arguments that are JSON text into the object that they spell:
/// servers give templates objects. Without `specs` any name goes.
pub(crate) fn check(message: &mut Map<String, Json>, place: &str, specs: &[ToolSpec]) -> Result<(), LeftOut> {
    let malformed = |message: String| LeftOut::new(Reason::MalformedCall, message);
    let Some(calls) = message.get_mut("tool_calls") else { return Ok(()) };
    let calls = calls.as_array_mut().ok_or_else(|| malformed(format!("{place}.tool_calls is no list")))?;
    for (index, call) in calls.iter_mut().enumerate() {
        let place = format!("{place}.tool_calls[{index}]");
        let keys = call.as_object_mut().ok_or_else(|| malformed(format!("{place} is no object")))?;
        keys.retain(|_, value| !value.is_null());
        let function =
            if keys.contains_key("function") { keys["function"].as_object_mut() } else { Some(keys) };
        let function = function.ok_or_else(|| malformed(format!("{place}.function is no object")))?;
        let arguments = object(function.get("arguments"), &place)?;
        let name = said(function, "name").and_then(Json::as_str).map(str::to_string);
        let name = name.ok_or_else(|| malformed(format!("{place} has no name")))?;
        function.insert("arguments".into(), arguments.clone().into());
        if specs.is_empty() {
            continue;
        }
        let checked = check_calls(vec![Ok(ToolCall { name, arguments, span: 0..0 })], specs);
        if let Some(Err(wrong)) = checked.into_iter().next() {
            let unknown = wrong.kind == ViolationKind::UnknownTool;
            let reason = if unknown { Reason::UnknownTool } else { Reason::MalformedCall };
            return Err(LeftOut::new(reason, format!("{place}: {}", wrong.message)));
        }
    }
    Ok(())
}

/// Writes OpenAI's old form of a message in the new one.
///
/// `function_call` becomes the only entry of `tool_calls`, and the role `function` becomes `tool`.
pub(crate) fn modernise(message: &mut Map<String, Json>, place: &str) -> Result<(), LeftOut> {
    if message.get("role").is_some_and(|role| role == "function") {
        message.insert("role".into(), "tool".into());
    }
    let Some(call) = message.remove("function_call") else { return Ok(()) };
    let wrong =
        |what: &str| Err(LeftOut::new(Reason::MalformedCall, format!("{place}.function_call {what}")));
    if !call.is_object() {
        return wrong("is no object");
    }
    if message.get("tool_calls").is_some_and(|calls| calls.as_array().is_none_or(|calls| !calls.is_empty())) {
        return wrong("stands beside `tool_calls`");
    }
    message.insert("tool_calls".into(), json!([{"type": "function", "function": call}]));
    Ok(())
}

/// Returns arguments as an object. None of them are an empty one.
fn object(arguments: Option<&Json>, place: &str) -> Result<Map<String, Json>, LeftOut> {
    let wrong = || LeftOut::new(Reason::MalformedCall, format!("{place}: the arguments are no JSON object"));
    match arguments {
        None => Ok(Map::new()),
        Some(Json::Object(arguments)) => Ok(arguments.clone()),
        Some(Json::String(text)) if text.trim().is_empty() => Ok(Map::new()),
        Some(Json::String(text)) => {
            match LeftOut::or_json(text, &format!("{place}: arguments"), |_| wrong())? {
                Json::Object(arguments) => Ok(arguments),
                _ => Err(wrong()),
            }
        }
        Some(_) => Err(wrong()),
    }
}

/// Returns the calls of a message that was checked.
pub(crate) fn of(message: &Json) -> Vec<ToolCall> {
    let calls = message["tool_calls"].as_array().map(Vec::as_slice).unwrap_or_default();
    let call = |call: &Json| {
        let function = call.get("function").unwrap_or(call);
        ToolCall {
            name: function["name"].as_str().unwrap_or_default().into(),
            arguments: function["arguments"].as_object().cloned().unwrap_or_default(),
            span: 0..0,
        }
    };
    calls.iter().map(call).collect()
}
