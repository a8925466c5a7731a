//! `conversations` of `from` and `value`, as ShareGPT and LLaMA-Factory write them.

use serde_json::{Value as Json, json};

use crate::left_out::{LeftOut, Reason};
use crate::row::{not_one, said};

/// Returns the messages of a list of turns. `system` is what stands beside the list.
pub(crate) fn messages(turns: &[Json], system: Option<&Json>) -> Result<Vec<Json>, LeftOut> {
    let mut messages = Vec::new();
    if let Some(text) = system.and_then(Json::as_str).filter(|text| !text.is_empty()) {
        messages.push(json!({"role": "system", "content": text}));
    }
    for (index, turn) in turns.iter().enumerate() {
        let place = format!("conversations[{index}]");
        let keys = turn.as_object().ok_or_else(|| not_one(format!("{place} is no object")))?;
        // The same name is also used for messages in OpenAI's form.
        let Some(from) = said(keys, "from") else {
            messages.push(turn.clone());
            continue;
        };
        let text = said(keys, "value").and_then(Json::as_str);
        let text = text.ok_or_else(|| not_one(format!("{place}.value is no text")))?;
        let mut message = match from.as_str().unwrap_or_default() {
            "system" => json!({"role": "system", "content": text}),
            "human" | "user" => json!({"role": "user", "content": text}),
            "gpt" | "assistant" | "model" => json!({"role": "assistant", "content": text}),
            "tool" | "observation" | "function_response" => json!({"role": "tool", "content": text}),
            "function_call" => {
                let value = format!("{place}.value");
                let wrong =
                    |error| LeftOut::new(Reason::MalformedCall, format!("{value} is no JSON: {error}"));
                let calls = LeftOut::or_json(text, &value, wrong)?;
                let calls = if calls.is_array() { calls } else { json!([calls]) };
                json!({"role": "assistant", "content": "", "tool_calls": calls})
            }
            other => {
                let message = format!("{place}.from is {other:?}");
                return Err(LeftOut::new(Reason::UnknownRole, message));
            }
        };
        for mark in ["train", "weight"] {
            if let Some(value) = said(keys, mark) {
                message[mark] = value.clone();
            }
        }
        messages.push(message);
    }
    Ok(messages)
}
