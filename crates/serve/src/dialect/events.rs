//! Server-sent events.

use serde_json::Value;

/// Appends an event that holds JSON.
pub(crate) fn data(out: &mut String, value: &Value) {
    // JSON has no line breaks outside its texts, where they are escaped.
    out.push_str("data: ");
    out.push_str(&value.to_string());
    out.push_str("\n\n");
}

/// Appends an event that holds JSON, named like its `type`.
pub(crate) fn named(out: &mut String, value: &Value) {
    out.push_str("event: ");
    out.push_str(value["type"].as_str().unwrap_or("message"));
    out.push('\n');
    data(out, value);
}
