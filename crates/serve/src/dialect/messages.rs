//! Messages of the chat protocol in one form: texts instead of lists of parts, arguments as objects.

use serde_json::{Map, Value, json};
use turnwise_json::words;

use crate::dialect::fields::{Fields, wrong};
use crate::refusal::Refusal;

/// Most messages of a conversation.
const MOST: usize = 16_384;

/// Reads the messages of a conversation.
pub(crate) fn read(messages: &[Value], place: &str) -> Result<Vec<Value>, Refusal> {
    if messages.is_empty() {
        return Err(Refusal::at(place, "holds no message"));
    }
    if messages.len() > MOST {
        return Err(Refusal::at(place, format!("{} messages; at most {MOST} are read", messages.len())));
    }
    let mut names = Map::new();
    let mut read = Vec::with_capacity(messages.len());
    for (at, message) in messages.iter().enumerate() {
        read.push(one(&Fields::of(message, format!("{place}[{at}]"))?, &mut names)?);
    }
    Ok(read)
}

/// Reads a message. `names`: the tools of earlier calls, by the ids of the calls.
fn one(message: &Fields<'_>, names: &mut Map<String, Value>) -> Result<Value, Refusal> {
    let role = message.needed("role")?;
    let mut read = json!({});
    match role {
        "system" | "developer" => {
            message.only(&[&["role", "content"]])?;
            read["role"] = "system".into();
        }
        "user" => {
            message.only(&[&["role", "content"]])?;
            read["role"] = "user".into();
        }
        "assistant" => {
            message.only(&[&["role", "content", "tool_calls", "annotations"]])?;
            message.neutral("annotations", &[json!([])])?;
            read["role"] = "assistant".into();
            let calls = calls(message, names)?;
            if !calls.is_empty() {
                read["tool_calls"] = calls.into();
            }
        }
        "tool" => {
            message.only(&[&["role", "content", "tool_call_id", "name"]])?;
            let id = message.needed("tool_call_id")?;
            read["role"] = "tool".into();
            read["tool_call_id"] = id.into();
            if let Some(name) = message.text("name")?.map(Value::from).or_else(|| names.get(id).cloned()) {
                read["name"] = name;
            }
        }
        other => {
            let short: String = other.chars().take(64).collect();
            let known = "system, developer, user, assistant and tool are";
            return Err(Refusal::unsupported(message.place("role"), &format!("{known}, {short:?} isn't")));
        }
    }
    read["content"] = content(message, role == "assistant")?.into();
    Ok(read)
}

/// Reads a content: a text, or a list of parts that are texts.
fn content(message: &Fields<'_>, may_lack: bool) -> Result<String, Refusal> {
    match message.get("content") {
        None if may_lack => Ok(String::new()),
        None => Err(Refusal::at(message.place("content"), "is missing")),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => parts_text(parts, &message.place("content"), &["text"]),
        Some(other) => Err(wrong(&message.place("content"), other, "a text or a list of parts")),
    }
}

/// Keys of a text part that change nothing: how it is billed, and what an answer had beside it.
const BESIDE: &[&str] = &["cache_control", "logprobs", "annotations", "citations"];

/// Joins parts of these types, which hold a `text`.
pub(crate) fn parts_text(parts: &[Value], place: &str, types: &[&str]) -> Result<String, Refusal> {
    let mut texts = Vec::with_capacity(parts.len());
    for (at, part) in parts.iter().enumerate() {
        let part = Fields::of(part, format!("{place}[{at}]"))?;
        let kind = part.needed("type")?;
        if !types.contains(&kind) {
            let short: String = kind.chars().take(64).collect();
            return Err(Refusal::unsupported(part.place("type"), &format!("{short:?} is no text")));
        }
        part.only(&[&["type", "text"], BESIDE])?;
        for key in ["annotations", "citations"] {
            part.neutral(key, &[json!([])])?;
        }
        texts.push(part.needed("text")?);
    }
    Ok(texts.join("\n"))
}

/// Reads the calls of a message.
fn calls(message: &Fields<'_>, names: &mut Map<String, Value>) -> Result<Vec<Value>, Refusal> {
    let mut read = Vec::new();
    for (at, call) in message.list("tool_calls")?.unwrap_or_default().iter().enumerate() {
        let call = Fields::of(call, format!("{}[{at}]", message.place("tool_calls")))?;
        call.only(&[&["id", "type", "function", "index"]])?;
        call.neutral("type", &["function".into()])?;
        let id = call.needed("id")?;
        let function =
            call.object("function")?.ok_or_else(|| Refusal::at(call.place("function"), "is missing"))?;
        function.only(&[&["name", "arguments"]])?;
        let name = function.needed("name")?;
        let place = function.place("arguments");
        let arguments = match function.get("arguments") {
            None => Map::new(),
            Some(Value::Object(arguments)) => arguments.clone(),
            Some(Value::String(text)) => arguments_of(text, &place)?,
            Some(other) => return Err(wrong(&place, other, "the text of a JSON object")),
        };
        names.insert(id.into(), name.into());
        read.push(called(id, name, &arguments));
    }
    Ok(read)
}

/// Reads the text of a call's arguments. A call without any may have no text.
pub(crate) fn arguments_of(text: &str, place: &str) -> Result<Map<String, Value>, Refusal> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(text)
        .map_err(|error| Refusal::at(place, format!("is no JSON object: {}", words(&error))))
}

/// Returns a call in OpenAI's form, with arguments as an object.
pub(crate) fn called(id: &str, name: &str, arguments: &Map<String, Value>) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}
