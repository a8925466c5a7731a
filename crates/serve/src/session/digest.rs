//! Digests of conversations, by which a session finds the call that a request continues.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Identifies a conversation so far, with the tools on offer.
pub(crate) type Digest = [u8; 16];

/// Returns the digests of a conversation's beginnings, by their number of messages. `tools`: those on offer.
pub(crate) fn digests(tools: &Value, messages: &[Value]) -> Vec<Digest> {
    let mut all = vec![after(&[0; 16], tools)];
    for message in messages {
        all.push(after(&all[all.len() - 1], &meant(message)));
    }
    all
}

/// Returns the digest of a conversation that goes on with a message.
pub(crate) fn after(before: &Digest, message: &Value) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update(before);
    hasher.update(sorted(message).to_string());
    hasher.finalize()[..16].try_into().expect("a digest has 32 bytes")
}

/// Returns what makes two messages equal: all but the ids of calls, which programs may rename.
pub(crate) fn meant(message: &Value) -> Value {
    let calls = message["tool_calls"].as_array().map(Vec::as_slice).unwrap_or_default();
    let calls: Vec<&Value> = calls.iter().map(|call| &call["function"]).collect();
    serde_json::json!([message["role"], message["content"], calls])
}

/// Returns a value with the keys of its objects in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(pairs) => {
            let mut pairs: Vec<(&String, &Value)> = pairs.iter().collect();
            pairs.sort_unstable_by_key(|(key, _)| *key);
            Value::Array(
                pairs.into_iter().map(|(key, value)| serde_json::json!([key, sorted(value)])).collect(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_messages_may_differ_in_ids_and_in_the_order_of_arguments() {
        let message = |id: &str, arguments: &str| {
            let arguments: Value = serde_json::from_str(arguments).unwrap();
            let call =
                json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}});
            json!({"role": "assistant", "content": "", "tool_calls": [call]})
        };
        let digest = |message: &Value| digests(&json!([]), std::slice::from_ref(message))[1];
        let one = digest(&message("a", r#"{"x": 1, "y": [2]}"#));
        assert_eq!(one, digest(&message("b", r#"{"y": [2], "x": 1}"#)));
        assert_ne!(one, digest(&message("a", r#"{"x": 1, "y": [3]}"#)));
        assert_ne!(digests(&json!([]), &[]), digests(&json!([1]), &[]));
    }
}
