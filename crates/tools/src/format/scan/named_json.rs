//! Scans Mistral's calls: a name and its arguments, or a list of objects.

use super::{Advance, JsonValue, is_start};

const OPEN: &str = "[TOOL_CALLS]";
const ID: &str = "[CALL_ID]";
const ARGS: &str = "[ARGS]";

/// Ends with the JSON value, which stands alone, after `name` or after `name[CALL_ID]id[ARGS]`.
#[derive(Debug)]
pub struct NamedJson {
    state: State,
    value: JsonValue,
    head: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Name,
    Named,
    Id,
    Args,
    Value,
}

/// Maximum of bytes in a tool's name with the id of its call.
const MAX_HEAD: usize = 256;

impl NamedJson {
    /// Starts after the opening marker.
    pub fn new(raw: bool) -> Self {
        Self { state: State::Start, value: JsonValue::new(&[OPEN], raw), head: 0 }
    }

    pub(super) fn hides(&self) -> bool {
        self.value.hides()
    }

    pub(super) fn advance(&mut self, text: &[u8], at: &mut usize, finishing: bool) -> Advance {
        while *at < text.len() && self.state != State::Value {
            let rest = &text[*at..];
            if !finishing && [OPEN, ID, ARGS].iter().any(|marker| is_start(rest, marker)) {
                return Advance::More;
            }
            if rest.starts_with(OPEN.as_bytes()) {
                return Advance::Cut(*at);
            }
            let starts = |marker: &str| rest.starts_with(marker.as_bytes());
            let blank = rest[0].is_ascii_whitespace();
            let (state, step) = match self.state {
                State::Name | State::Named if starts(ID) => (State::Id, ID.len()),
                State::Start | State::Name | State::Named | State::Id if starts(ARGS) => {
                    (State::Args, ARGS.len())
                }
                State::Name | State::Named if rest[0] == b'{' => (State::Value, 0),
                State::Start | State::Args if matches!(rest[0], b'{' | b'[') => (State::Value, 0),
                State::Name if blank => (State::Named, 1),
                state if blank => (state, 1),
                State::Start | State::Name if rest[0] != b'[' => (State::Name, 1),
                State::Id => (State::Id, 1),
                // The marker was only mentioned, or the arguments are missing.
                State::Start | State::Name | State::Named | State::Args | State::Value => {
                    return Advance::End(*at);
                }
            };
            let starts_character = rest[0] & 0xC0 != 0x80;
            if self.head > MAX_HEAD && starts_character {
                return Advance::End(*at);
            }
            self.state = state;
            self.head += step;
            *at += step;
        }
        if self.state == State::Value { self.value.advance(text, at, finishing) } else { Advance::More }
    }
}
