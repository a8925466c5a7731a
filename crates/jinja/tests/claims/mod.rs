//! Properties of every template. The fuzz target and the replay of its corpus check the same.

use serde_json::{Value, json};
use turnwise_jinja::{Conversation, Moment, Template};

/// Fails if a template makes the engine panic, gives a long message, or renders differently a second time.
pub(crate) fn hold(bytes: &[u8]) {
    let Ok(source) = std::str::from_utf8(bytes) else { return };
    let tokens = json!({"bos_token": "<s>", "eos_token": "</s>"}).as_object().cloned().unwrap_or_default();
    let template = match Template::new(source, tokens, Moment::from_unix(1_735_603_199)) {
        Ok(template) => template,
        Err(error) => return check_message(&error.0),
    };
    let messages = messages();
    let parameters =
        json!({"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]});
    let function = json!({"name": "python", "description": "Runs code.", "parameters": parameters});
    let tools = [json!({"type": "function", "function": function})];
    for tools in [None, Some(&tools[..])] {
        let conversation = Conversation {
            messages: &messages,
            tools,
            add_generation_prompt: tools.is_none(),
            ..Conversation::default()
        };
        let text = template.render(&conversation);
        if let Err(error) = &text {
            check_message(&error.0);
        }
        assert_eq!(template.render(&conversation), text);
    }
}

/// Makes a conversation with every role, a call, and values of every kind.
fn messages() -> Vec<Value> {
    let call = json!({"id": "call00000", "type": "function",
        "function": {"name": "python", "arguments": {"code": "print(6 * 7)", "n": 1.5, "x": [null, true]}}});
    vec![
        json!({"role": "system", "content": "Be brief."}),
        json!({"role": "user", "content": [{"type": "text", "text": "6 × 7?"}]}),
        json!({"role": "assistant", "content": "", "reasoning_content": "Hm.", "tool_calls": [call]}),
        json!({"role": "tool", "content": "42", "tool_call_id": "call00000", "name": "python"}),
        json!({"role": "assistant", "content": "<think>\nHm.\n</think>\n\n42 é"}),
        json!({"role": "user", "content": "Why?"}),
    ]
}

fn check_message(message: &str) {
    assert!(message.chars().count() <= 600 && !message.contains('\n'), "{message}");
}
