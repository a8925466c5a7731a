//! Reads completions for the tests of calls in text.

use serde_json::Value;
use turnwise_tools::format::Opening;
use turnwise_tools::{FormatName, ToolSpec};

pub(crate) const NONE: &[&str] = &[];

/// Returns the calls as `name {arguments}`, or `!kind` for malformed ones.
pub(crate) fn found(
    format: FormatName,
    opening: Opening,
    text: &str,
    tools: Option<&[ToolSpec]>,
) -> Vec<String> {
    let format = format.build();
    let calls = match tools {
        Some(tools) => format.parse_checked_from(opening, text, tools),
        None => format.parse_from(opening, text),
    };
    let shown = |call: Result<turnwise_trajectory::ToolCall, turnwise_trajectory::MalformedCall>| match call {
        Ok(call) => format!("{} {}", call.name, Value::Object(call.arguments)),
        Err(call) => format!("!{}", serde_json::to_value(call.kind).unwrap().as_str().unwrap()),
    };
    calls.into_iter().map(shown).collect()
}

#[track_caller]
pub(crate) fn check(format: FormatName, text: &str, expect: &[&str]) {
    assert_eq!(found(format, Opening::Unknown, text, None), expect, "{format}: {text}");
}
