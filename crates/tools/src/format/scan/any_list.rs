//! Scans a list of calls, which are JSON objects or in Python's syntax.

use super::{Advance, JsonValue, PythonCalls};

/// Ends with the bracket that closes the list.
#[derive(Debug)]
pub struct AnyList {
    state: State,
    /// Markers that open another call.
    markers: &'static [&'static str],
    raw: bool,
}

#[derive(Debug)]
enum State {
    Start,
    Json(JsonValue),
    Python(PythonCalls),
}

impl AnyList {
    /// Starts after the opening bracket.
    pub fn new(markers: &'static [&'static str], raw: bool) -> Self {
        Self { state: State::Start, markers, raw }
    }

    pub(super) fn hides(&self) -> bool {
        match &self.state {
            State::Start => false,
            State::Json(value) => value.hides(),
            State::Python(calls) => calls.hides(),
        }
    }

    pub(super) fn advance(&mut self, text: &[u8], at: &mut usize, finishing: bool) -> Advance {
        loop {
            match &mut self.state {
                State::Json(value) => return value.advance(text, at, finishing),
                State::Python(calls) => return calls.advance(text, at, finishing),
                State::Start => {}
            }
            let rest = text[*at..].trim_ascii_start();
            let key = rest.strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
            self.state = match key.unwrap_or(rest).first() {
                None if !finishing => return Advance::More,
                Some(b'"') if key.is_some() => {
                    *at -= 1;
                    State::Json(JsonValue::new(self.markers, self.raw))
                }
                _ => State::Python(PythonCalls::new(self.raw)),
            };
        }
    }
}
