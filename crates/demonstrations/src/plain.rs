//! A conversation with its tools, calls and outputs as plain text, by the run's call format: for templates
//! that show none of them.

use serde_json::{Value as Json, json};
use turnwise_tools::CallFormat;
use turnwise_trajectory::ToolCall;

use crate::calls;
use crate::conversation::Conversation;

/// Returns the messages as a rollout with that format has them: tools described in the system message if
/// `describe` says so, calls in the assistant's text, outputs as messages of the user.
pub(crate) fn written(conversation: &Conversation, format: &dyn CallFormat, describe: bool) -> Vec<Json> {
    let spelled = |(index, message): (usize, &Json)| match message["role"].as_str() {
        Some("assistant") => {
            let mut spelled = message.clone();
            let said = conversation.said[index].as_deref();
            spelled["content"] = text(message, format, said).into();
            if let Some(keys) = spelled.as_object_mut() {
                keys.remove("tool_calls");
            }
            spelled
        }
        Some("tool") => {
            let output = message["content"].as_str().unwrap_or_default();
            json!({"role": "user", "content": format.render_output(output)})
        }
        _ => message.clone(),
    };
    let mut messages: Vec<Json> = conversation.messages.iter().enumerate().map(spelled).collect();
    if describe && !conversation.specs.is_empty() {
        let text = format.describe(&conversation.specs);
        match messages.first_mut().filter(|first| first["role"] == "system") {
            Some(system) => {
                system["content"] =
                    format!("{}\n\n{text}", system["content"].as_str().unwrap_or_default()).into();
            }
            None => messages.insert(0, json!({"role": "system", "content": text})),
        }
    }
    messages
}

/// Returns the text of a turn: the policy's own words if the format reads the turn's calls in them, else the
/// content with the calls after it.
fn text(message: &Json, format: &dyn CallFormat, said: Option<&str>) -> String {
    let calls = calls::of(message);
    let same = |read: &ToolCall, call: &ToolCall| read.name == call.name && read.arguments == call.arguments;
    if let Some(said) = said {
        let read: Vec<ToolCall> = format.parse(said).into_iter().flatten().collect();
        if read.len() == calls.len() && read.iter().zip(&calls).all(|(read, call)| same(read, call)) {
            return said.into();
        }
    }
    let content = message["content"].as_str().filter(|content| !content.is_empty()).map(str::to_string);
    let parts: Vec<String> =
        content.into_iter().chain(calls.iter().map(|call| format.render(call))).collect();
    parts.join("\n")
}
