//! Claims about whatever a client sends.

use serde_json::Value;
use turnwise_serve::ask::{Ask, Chat, Prompt};
use turnwise_serve::dialect;

/// Reads bytes as a request of every dialect. No input makes them panic: it is read, or refused in a line.
pub(crate) fn hold(bytes: &[u8]) {
    let Ok(request) = serde_json::from_slice::<Value>(bytes) else { return };
    for dialect in dialect::all() {
        match dialect.read(&request) {
            Ok(ask) => asked(&ask),
            Err(refusal) => {
                assert_eq!(refusal.status, 400, "{}", dialect.path());
                assert!(!refusal.message.is_empty());
                let written = dialect.refuse(&refusal);
                assert_eq!(written["error"]["message"], refusal.line());
                assert_eq!(written["error"]["type"], "invalid_request_error");
            }
        }
    }
}

/// Checks that a request asks for what can be bounded, in the one form that prompts are made of.
fn asked(ask: &Ask) {
    assert!((1..=64).contains(&ask.choices));
    assert!(ask.max_new.is_none_or(|limit| limit > 0));
    assert!(ask.stop.len() <= 16 && ask.stop.iter().all(|text| (1..=256).contains(&text.len())));
    let how = ask.sampling;
    assert!((0.0..=100.0).contains(&how.temperature) && how.top_p > 0.0 && how.top_p <= 1.0);
    assert!((0.0..=1.0).contains(&how.min_p));
    if let Prompt::Chat(Chat { messages, .. }) = &ask.prompt {
        assert!(!messages.is_empty());
        for message in messages {
            assert!(message["content"].is_string());
            let role = message["role"].as_str().expect("a role");
            assert!(["system", "user", "assistant", "tool"].contains(&role));
            assert!(role != "tool" || message["tool_call_id"].is_string());
            for call in message["tool_calls"].as_array().into_iter().flatten() {
                assert!(call["id"].is_string() && call["function"]["name"].is_string());
                assert!(call["function"]["arguments"].is_object());
            }
        }
    }
}
