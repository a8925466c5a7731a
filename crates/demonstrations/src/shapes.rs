//! The shapes of a row, told apart by their keys.

use serde_json::{Value as Json, json};

use crate::left_out::{LeftOut, Reason};
use crate::row::{Row, list, not_one, said};
use crate::{gsm8k, record, share_gpt};

/// Returns the columns that a row's conversation is read from, unless they are plain texts.
pub(crate) fn columns(row: &Json) -> &'static [&'static str] {
    let has = |key: &str| row.get(key).is_some_and(|value| !value.is_null());
    if has("messages") || has("trajectories") {
        &["messages", "tools", "functions"]
    } else if has("prompt") && has("completion") {
        &["prompt", "completion", "tools"]
    } else {
        &["conversations", "tools"]
    }
}

/// Writes the functions of OpenAI's old form as tools.
fn wrapped(functions: Vec<Json>) -> Vec<Json> {
    functions.into_iter().map(|function| json!({"type": "function", "function": function})).collect()
}

/// Takes a row apart.
pub(crate) fn read(row: &Json) -> Result<Row, LeftOut> {
    let keys = row.as_object().ok_or_else(|| not_one("the row is no JSON object"))?;
    let tools = match list(keys, "tools", Reason::BadTools)? {
        // OpenAI's old form, beside `messages`.
        None if said(keys, "messages").is_some() => list(keys, "functions", Reason::BadTools)?.map(wrapped),
        tools => tools,
    };
    let tools = tools.unwrap_or_default();
    if said(keys, "trajectories").is_some() {
        return record::read(keys, tools);
    }
    if let Some(messages) = list(keys, "messages", Reason::NotAConversation)? {
        return Ok(Row { messages, tools, ..Row::default() });
    }
    let (prompt, completion) = (
        list(keys, "prompt", Reason::NotAConversation)?,
        list(keys, "completion", Reason::NotAConversation)?,
    );
    if let (Some(mut messages), Some(completion)) = (prompt, completion) {
        let prompt = messages.len();
        messages.extend(completion);
        return Ok(Row { messages, tools, prompt, ..Row::default() });
    }
    if let Some(turns) = list(keys, "conversations", Reason::NotAConversation)? {
        let messages = share_gpt::messages(&turns, said(keys, "system"))?;
        return Ok(Row { messages, tools, ..Row::default() });
    }
    if let Some((question, answer)) = gsm8k::problem(keys) {
        return gsm8k::read(keys, question, answer);
    }
    Err(not_one("neither `messages` nor `prompt` with `completion` nor `conversations` is there"))
}
