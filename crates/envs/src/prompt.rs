//! Prompts of data files: a text, or messages of `role` and `content` as TRL and verl have them.

use serde_json::Value;
use turnwise_trajectory::{Message, Role};

/// Returns the messages of a value. Those behind the last one of the user are left out: they are answers.
///
/// # Errors
/// One line without the place.
pub(crate) fn messages(value: &Value) -> Result<Vec<Message>, String> {
    let prompt = match value {
        // Tables often hold lists as text.
        Value::String(text) => match serde_json::from_str(text) {
            Ok(Value::Array(items))
                if items.iter().all(|item| item.get("role").is_some()) && !items.is_empty() =>
            {
                listed(&items)?
            }
            _ => vec![Message::new(Role::User, text.as_str())],
        },
        Value::Array(items) => listed(items)?,
        other => return Err(format!("{} is neither a text nor a list of messages", kind(other))),
    };
    let asked = prompt.iter().rposition(|message| message.role == Role::User);
    let Some(asked) = asked else {
        return Err("no message is the user's; hint: end it with a question".into());
    };
    if prompt[asked].content.trim().is_empty() {
        return Err("the question is empty; hint: remove the record".into());
    }
    Ok(prompt.into_iter().take(asked + 1).collect())
}

fn listed(items: &[Value]) -> Result<Vec<Message>, String> {
    let message = |(index, item): (usize, &Value)| {
        let role = match item["role"].as_str() {
            Some("system" | "developer") => Role::System,
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("tool") => Role::Tool,
            _ => {
                return Err(format!(
                    "message {index} has the role {}; hint: system, user, assistant or tool",
                    item["role"]
                ));
            }
        };
        let content = match &item["content"] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            Value::Array(parts) => {
                let text = |part: &Value| part.as_str().or_else(|| part["text"].as_str()).map(str::to_string);
                let texts: Option<Vec<String>> = parts.iter().map(text).collect();
                texts.ok_or_else(|| format!("message {index} holds something else than text"))?.join("\n")
            }
            other => return Err(format!("message {index} has {} as its content", kind(other))),
        };
        Ok(Message::new(role, content))
    };
    items.iter().enumerate().map(message).collect()
}

/// Returns the kind of a value.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_prompt_is_a_text_or_messages_up_to_the_last_question() {
        let both = json!([{"role": "system", "content": "S"}, {"role": "user", "content": [{"type": "text", "text": "Q"}]}]);
        let expect = [Message::new(Role::System, "S"), Message::new(Role::User, "Q")];
        let mut answered = both.clone();
        answered.as_array_mut().unwrap().push(json!({"role": "assistant", "content": "A"}));
        for value in [both.clone(), answered, both.to_string().into()] {
            assert_eq!(messages(&value).unwrap(), expect, "{value}");
        }
        assert_eq!(messages(&json!("[1, 2]")).unwrap(), [Message::new(Role::User, "[1, 2]")]);
    }

    #[test]
    fn what_asks_nothing_is_told() {
        for (value, expect) in [
            (json!(3), "a number is neither a text nor"),
            (json!(" "), "the question is empty"),
            (json!([]), "no message is the user's"),
            (json!([{"role": "user"}]), "the question is empty"),
            (json!([{"role": "human", "content": "a"}]), "message 0 has the role \"human\""),
            (json!([3]), "message 0 has the role null"),
            (json!([{"role": "user", "content": [{"type": "image"}]}]), "message 0 holds something else"),
            (json!([{"role": "user", "content": 3}]), "message 0 has a number as its content"),
        ] {
            let error = messages(&value).unwrap_err();
            assert!(error.starts_with(expect) && !error.contains('\n'), "{error}");
        }
    }
}
