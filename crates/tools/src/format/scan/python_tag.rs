//! Scans Llama 3.1's text after `<|python_tag|>`: a call as JSON, or code.

use super::{Advance, JsonValue, blanks, is_start};

/// Tokens that end a message.
const ENDS: &[&str] = &["<|eom_id|>", "<|eot_id|>", "<|start_header_id|>", "<|end_of_text|>", TAG];
const TAG: &str = "<|python_tag|>";

/// Ends with a JSON value, or with the message if it isn't JSON.
#[derive(Debug)]
pub struct PythonTag {
    state: State,
    raw: bool,
}

#[derive(Debug)]
enum State {
    Start,
    Json(JsonValue),
    Code,
}

impl PythonTag {
    /// Starts after the tag.
    pub fn new(raw: bool) -> Self {
        Self { state: State::Start, raw }
    }

    pub(super) fn hides(&self) -> bool {
        matches!(&self.state, State::Json(value) if value.hides())
    }

    pub(super) fn advance(&mut self, text: &[u8], at: &mut usize, finishing: bool) -> Advance {
        if let State::Start = self.state {
            let rest = &text[*at + blanks(&text[*at..])..];
            match opens_json(rest) {
                Some(true) => {
                    *at = text.len() - rest.len();
                    self.state = State::Json(JsonValue::new(&[TAG], self.raw));
                }
                None if rest.is_empty() || !finishing => return Advance::More,
                Some(false) | None => self.state = State::Code,
            }
        }
        if let State::Json(value) = &mut self.state {
            return value.advance(text, at, finishing);
        }
        while let Some(skipped) = text[*at..].iter().position(|byte| *byte == b'<') {
            *at += skipped;
            let rest = &text[*at..];
            if ENDS.iter().any(|end| rest.starts_with(end.as_bytes())) {
                return Advance::End(*at);
            }
            if !finishing && ENDS.iter().any(|end| is_start(rest, end)) {
                return Advance::More;
            }
            *at += 1;
        }
        *at = text.len();
        if finishing { Advance::End(*at) } else { Advance::More }
    }
}

/// Returns whether JSON rather than code begins here, or none if later bytes decide.
pub(in super::super) fn opens_json(text: &[u8]) -> Option<bool> {
    let bracket = *text.first()?;
    match (bracket, text[1..].trim_ascii_start().first()) {
        (b'{' | b'[', None) => None,
        (b'{', Some(b'"' | b'}')) | (b'[', Some(b'{')) => Some(true),
        _ => Some(false),
    }
}
