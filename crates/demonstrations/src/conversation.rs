//! A conversation in OpenAI's form, checked.

use serde_json::{Map, Value as Json};
use turnwise_tools::ToolSpec;
use turnwise_tools::spec_file::recorded;

use crate::calls;
use crate::left_out::{LeftOut, Reason};
use crate::row::{Row, not_one};
use crate::shapes;

/// Holds messages, the tools on offer, and which messages are marked.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// Messages in OpenAI's form; arguments of calls are objects.
    pub(crate) messages: Vec<Json>,
    /// Tools as they were written.
    pub(crate) tools: Vec<Json>,
    /// The same tools, read.
    pub(crate) specs: Vec<ToolSpec>,
    /// Whether a message says that it is trained or not.
    pub(crate) marks: Vec<Option<bool>>,
    /// The exact text that a policy wrote for a message, if it is known.
    pub(crate) said: Vec<Option<String>>,
}

/// Roles that chat templates know.
const ROLES: [&str; 4] = ["system", "user", "assistant", "tool"];

impl Conversation {
    /// Returns the columns that the messages and tools of a row are read from.
    pub fn columns(row: &Json) -> &'static [&'static str] {
        shapes::columns(row)
    }

    /// Reads a row of any shape.
    pub fn read(row: &Json) -> Result<Self, LeftOut> {
        let Row { messages: given, tools: written, prompt, mut said } = shapes::read(row)?;
        let specs = recorded(&Json::from(written.clone()))
            .map_err(|error| LeftOut::new(Reason::BadTools, format!("tools{error}")))?;
        let (mut messages, mut marks) = (Vec::new(), Vec::new());
        for (index, message) in given.into_iter().enumerate() {
            let (message, mark) = checked(message, &format!("messages[{index}]"), &specs)?;
            messages.push(message);
            marks.push(mark.or((index < prompt).then_some(false)));
        }
        said.resize(messages.len(), None);
        if !messages.iter().any(is_assistant) {
            return Err(not_one("no message is the assistant's"));
        }
        Ok(Self { messages, tools: written, specs, marks, said })
    }

    /// Returns the messages in OpenAI's form.
    pub fn messages(&self) -> &[Json] {
        &self.messages
    }

    /// Returns whether message `index` is the assistant's.
    pub(crate) fn is_assistant(&self, index: usize) -> bool {
        is_assistant(&self.messages[index])
    }

    /// Returns whether a message of the assistant holds a thought.
    pub(crate) fn thinks(&self) -> bool {
        let thinks = |message: &Json| {
            ["reasoning_content", "reasoning", "thinking"].iter().any(|key| message.get(key).is_some())
                || message["content"].as_str().is_some_and(|content| content.contains("</think>"))
        };
        self.messages.iter().any(thinks)
    }

    /// Returns whether a message calls a tool or is the output of one.
    pub(crate) fn uses_tools(&self) -> bool {
        !self.tools.is_empty()
            || self.messages.iter().any(|m| m["role"] == "tool" || m.get("tool_calls").is_some())
    }
}

fn is_assistant(message: &Json) -> bool {
    message["role"] == "assistant"
}

/// Returns a message and its mark. Keys whose value is null are taken out, as `transformers` does: columns of
/// tables have them in every row.
fn checked(message: Json, place: &str, specs: &[ToolSpec]) -> Result<(Json, Option<bool>), LeftOut> {
    let Json::Object(mut keys) = message else { return Err(not_one(format!("{place} is no object"))) };
    keys.retain(|_, value| !value.is_null());
    calls::modernise(&mut keys, place)?;
    let role = keys.get("role").cloned().unwrap_or_default();
    let known = role.as_str().and_then(|role| ROLES.into_iter().find(|known| *known == role));
    let Some(role) = known else {
        let known = ROLES.join(", ");
        return Err(LeftOut::new(Reason::UnknownRole, format!("{place}.role is {role}; known are {known}")));
    };
    let mark = mark(&mut keys, place)?;
    if mark == Some(true) && role != "assistant" {
        let message = format!("{place} is marked and not the assistant's; hint: train_on = \"all\"");
        return Err(LeftOut::new(Reason::BadMark, message));
    }
    let empty = keys.get("tool_calls").is_some_and(|calls| calls.as_array().is_some_and(Vec::is_empty));
    if empty {
        keys.remove("tool_calls");
    }
    content(&mut keys, role, place)?;
    if role == "assistant" {
        calls::check(&mut keys, place, specs)?;
    } else if keys.contains_key("tool_calls") {
        let message = format!("{place}.tool_calls: only the assistant calls tools");
        return Err(LeftOut::new(Reason::MalformedCall, message));
    }
    Ok((Json::Object(keys), mark))
}

/// Takes the mark out of a message: `train`, or a `weight` of 1 or 0 as OpenAI's fine-tuning has it.
fn mark(keys: &mut Map<String, Json>, place: &str) -> Result<Option<bool>, LeftOut> {
    let wrong = |key: &str, value: &Json, expected: &str| {
        LeftOut::new(Reason::BadMark, format!("{place}.{key} is {value}, expected {expected}"))
    };
    let (train, weight) = (keys.remove("train"), keys.remove("weight"));
    let train = match train {
        None => None,
        Some(Json::Bool(train)) => Some(train),
        Some(other) => return Err(wrong("train", &other, "true or false")),
    };
    let weight = match weight.as_ref().map(|weight| (weight, weight.as_f64())) {
        None => None,
        Some((_, Some(0.0))) => Some(false),
        Some((_, Some(1.0))) => Some(true),
        Some((other, _)) => return Err(wrong("weight", other, "0 or 1")),
    };
    Ok(train.or(weight))
}

/// Checks what a message says. A list of texts is joined by line breaks, as servers do for models of text.
fn content(keys: &mut Map<String, Json>, role: &str, place: &str) -> Result<(), LeftOut> {
    let acts = keys.contains_key("tool_calls")
        || ["reasoning_content", "reasoning", "thinking"].iter().any(|key| keys.contains_key(*key));
    let joined: Json = match keys.get("content") {
        Some(Json::String(_)) => return Ok(()),
        None if role == "assistant" && acts => return Ok(()),
        None if role == "tool" => "".into(),
        Some(Json::Array(parts)) => {
            let text = |part: &Json| part.as_str().or_else(|| part["text"].as_str()).map(str::to_string);
            let texts: Option<Vec<String>> = parts.iter().map(text).collect();
            let other = || not_one(format!("{place}.content holds something else than text"));
            texts.ok_or_else(other)?.join("\n").into()
        }
        _ => return Err(not_one(format!("{place}.content is no text"))),
    };
    keys.insert("content".into(), joined);
    Ok(())
}
