//! Reads and writes calls in Python's syntax that stand between tags: a list, or one call a line.
//!
//! Chat templates put quotes around any text, so a literal of one quote may hold line breaks here.

use std::ops::Range;

use serde_json::{Value, json};
use turnwise_trajectory::{ToolCall, ViolationKind};

use super::found_call::{Found, malformed};
use super::json::{read_calls, spaced};
use super::python_literal::{from_json, split_at};
use super::pythonic::{is_expressible, read_one};
use super::quotes::PythonQuotes;

/// Reads the calls between two tags: `[f(x=1), g()]`, one call a line, or JSON. All have the span of the
/// block.
pub(super) fn read(body: &str, span: &Range<usize>) -> Vec<Found> {
    let body = body.trim();
    if body.starts_with('{') || body.strip_prefix('[').is_some_and(|list| list.trim_start().starts_with('{'))
    {
        return read_calls(body, &["arguments", "parameters"], span);
    }
    let body = on_one_line(body);
    let list = body.strip_prefix('[').and_then(|list| list.trim_end().strip_suffix(']'));
    let pieces = split_at(list.unwrap_or(&body), b",;\n").into_iter().map(str::trim);
    let found: Vec<Found> =
        pieces.filter(|piece| !piece.is_empty()).map(|piece| read_one(piece, span.clone())).collect();
    if found.is_empty() {
        return vec![malformed(ViolationKind::Empty, "the call is empty", span.clone())];
    }
    found
}

/// Returns the text with the line breaks in literals of one quote written as escapes.
fn on_one_line(body: &str) -> String {
    let (mut quotes, mut escaped) = (PythonQuotes::over_lines(), false);
    let mut text = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(c) = rest.chars().next() {
        let step = quotes.step(rest.as_bytes(), true).unwrap_or(1).max(c.len_utf8());
        // A backslash before a line break is Python's own way to go on.
        match c {
            '\n' if quotes.in_single() && !escaped => text.push_str("\\n"),
            _ => text.push_str(&rest[..step]),
        }
        escaped = c == '\\' && !escaped;
        rest = &rest[step..];
    }
    text
}

/// Writes a call with its texts in single quotes, or as JSON if Python's syntax can't express it.
///
/// - `other`: writes a value that is no text
pub(super) fn written(call: &ToolCall, other: fn(&Value) -> String) -> String {
    if !is_expressible(call) {
        // Without tags, because the tags around it may be those of its texts.
        return spaced(&json!({"name": call.name, "arguments": call.arguments})).replace('<', "\\u003c");
    }
    let value = |value: &Value| value.as_str().map_or_else(|| other(value), quoted);
    let arguments: Vec<String> =
        call.arguments.iter().map(|(key, argument)| format!("{key}={}", value(argument))).collect();
    format!("{}({})", call.name, arguments.join(", "))
}

/// Writes lists and objects as JSON, and constants as Python has them.
pub(super) fn json_inside(value: &Value) -> String {
    if value.is_array() || value.is_object() { spaced(value) } else { from_json(value) }
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n").replace('\r', "\\r");
    format!("'{escaped}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_in_quotes_become_escapes() {
        for (text, expect) in [
            ("f(x='a\nb')\ng()", "f(x='a\\nb')\ng()"),
            ("f(x='a\\\nb')", "f(x='a\\\nb')"),
            ("f(x='''a\nb''', y=\"é\n\")", "f(x='''a\nb''', y=\"é\\n\")"),
            ("f(x='a\\'\n')", "f(x='a\\'\\n')"),
        ] {
            assert_eq!(on_one_line(text), expect);
        }
    }
}
