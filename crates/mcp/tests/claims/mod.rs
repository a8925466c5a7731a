//! Claims about whatever a server writes.

use turnwise_http::sse::events;
use turnwise_mcp::{Message, output, read};

/// Bytes of an output that are kept.
const KEPT: usize = 64;

/// Reads bytes as messages, as a stream of events and as the result of a call. No input makes them panic.
pub(crate) fn hold(bytes: &[u8]) {
    message(bytes);
    for event in events(bytes, 1 << 16).unwrap_or_default() {
        assert!(event.len() <= bytes.len() && !event.is_empty());
        message(&event);
    }
    if let Ok(value) = serde_json::from_slice(bytes) {
        result(&value);
    }
}

fn message(text: &[u8]) {
    for message in read(text).ok().flatten().unwrap_or_default() {
        if let Message::Answer(_, Ok(value)) = message {
            result(&value);
        }
    }
}

fn result(value: &serde_json::Value) {
    if let Ok(output) = output(value, KEPT) {
        // The cut is named beyond the limit, and a torn character leaves its replacement.
        assert!(output.stdout.len() <= KEPT + 64, "{} bytes", output.stdout.len());
        assert!(output.truncated || output.stdout.len() <= KEPT);
    }
}
