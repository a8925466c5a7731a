//! Writes the messages of tools as templates read them.

use serde_json::{Value as Json, json};
use turnwise_trajectory::Role;

/// Returns a message of a tool, for templates that require the call's id.
pub(super) fn tool_message(content: &str, position: usize, name: Option<&str>) -> Json {
    let mut message =
        json!({"role": Role::Tool.name(), "content": content, "tool_call_id": call_id(position)});
    if let Some(name) = name {
        message["name"] = name.into();
    }
    message
}

/// Returns an id of nine letters, as the strictest template requires.
pub(super) fn call_id(position: usize) -> String {
    format!("call{position:05}")
}
