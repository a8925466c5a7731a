//! Scans a call that is a JSON value with something before it: another marker, or a header.

use super::{Advance, JsonValue, is_start};

/// Ends with a JSON value, or with an end marker after other text if the header allows it.
#[derive(Debug)]
pub struct HeadedJson {
    head: Head,
    /// Markers that open another call.
    opens: &'static [&'static str],
    state: State,
    /// Bytes of the head so far.
    length: usize,
    raw: bool,
}

/// Describes the text between the marker and the value.
#[derive(Debug, Clone, Copy)]
pub enum Head {
    /// Nothing, or another marker.
    Marker(&'static str),
    /// A header of one line up to this marker. A value that isn't JSON ends with one of the others.
    Until(&'static str, &'static [&'static str]),
}

#[derive(Debug)]
enum State {
    Head,
    Body,
    Json(JsonValue),
    Text,
}

/// Maximum of bytes in a header.
const MAX_HEAD: usize = 256;

impl HeadedJson {
    /// Starts after the head. A value that isn't JSON ends with one of `ends`.
    pub fn behind(ends: &'static [&'static str], opens: &'static [&'static str], raw: bool) -> Self {
        Self { state: State::Body, ..Self::new(Head::Until("", ends), opens, raw) }
    }

    /// Starts after the opening marker.
    pub fn new(head: Head, opens: &'static [&'static str], raw: bool) -> Self {
        Self { head, opens, state: State::Head, length: 0, raw }
    }

    pub(super) fn hides(&self) -> bool {
        matches!(&self.state, State::Json(value) if value.hides())
    }

    pub(super) fn advance(&mut self, text: &[u8], at: &mut usize, finishing: bool) -> Advance {
        loop {
            if let State::Json(value) = &mut self.state {
                return value.advance(text, at, finishing);
            }
            if *at == text.len() && !(finishing && matches!(self.state, State::Text)) {
                return Advance::More;
            }
            let ended = match self.state {
                State::Head => self.pass_head(text, at, finishing),
                State::Body => self.enter(text, at, finishing),
                State::Text | State::Json(_) => Some(self.pass_text(text, at, finishing)),
            };
            if let Some(ended) = ended {
                return ended;
            }
        }
    }

    /// Reads the next byte or marker of the head.
    fn pass_head(&mut self, text: &[u8], at: &mut usize, finishing: bool) -> Option<Advance> {
        let (rest, byte) = (&text[*at..], text[*at]);
        let (Head::Marker(marker) | Head::Until(marker, _)) = self.head;
        let ends: &[&str] = if let Head::Until(_, ends) = self.head { ends } else { &[] };
        let known = || ends.iter().chain(self.opens).chain([&marker]);
        if !finishing && known().any(|known| is_start(rest, known)) {
            return Some(Advance::More);
        }
        let is_first = self.length == 0;
        if rest.starts_with(marker.as_bytes()) && (is_first || matches!(self.head, Head::Until(..))) {
            *at += marker.len();
            self.length += marker.len();
            self.state = if matches!(self.head, Head::Until(..)) { State::Body } else { State::Head };
            return None;
        }
        if self.opens.iter().any(|open| rest.starts_with(open.as_bytes())) {
            return Some(Advance::Cut(*at));
        }
        match self.head {
            Head::Marker(_) if byte.is_ascii_whitespace() => {}
            Head::Marker(_) if matches!(byte, b'{' | b'[') => {
                self.state = State::Json(JsonValue::new(self.opens, self.raw));
                return None;
            }
            Head::Marker(_) => return Some(Advance::End(*at)),
            // The marker was only mentioned.
            Head::Until(..)
                if byte == b'\n'
                    || self.length > MAX_HEAD
                    || ends.iter().any(|end| rest.starts_with(end.as_bytes())) =>
            {
                return Some(Advance::NotACall);
            }
            Head::Until(..) => self.length += 1,
        }
        *at += 1;
        None
    }

    /// Decides between JSON and other text.
    fn enter(&mut self, text: &[u8], at: &mut usize, finishing: bool) -> Option<Advance> {
        let rest = text[*at..].trim_ascii_start();
        match opens_json(rest) {
            Some(true) => {
                *at = text.len() - rest.len();
                self.state = State::Json(JsonValue::new(self.opens, self.raw));
            }
            None if !finishing || rest.is_empty() => return Some(Advance::More),
            Some(false) | None => self.state = State::Text,
        }
        None
    }

    /// Reads text that isn't JSON.
    fn pass_text(&self, text: &[u8], at: &mut usize, finishing: bool) -> Advance {
        let Head::Until(_, ends) = self.head else { return Advance::End(*at) };
        while let Some(skipped) = text[*at..].iter().position(|byte| *byte == b'<') {
            *at += skipped;
            let rest = &text[*at..];
            if ends.iter().any(|end| rest.starts_with(end.as_bytes())) {
                return Advance::End(*at);
            }
            if !finishing && ends.iter().any(|end| is_start(rest, end)) {
                return Advance::More;
            }
            *at += 1;
        }
        *at = text.len();
        if finishing { Advance::End(*at) } else { Advance::More }
    }
}

/// Returns whether JSON rather than other text begins here, or none if later bytes decide.
pub(in super::super) fn opens_json(text: &[u8]) -> Option<bool> {
    let bracket = *text.first()?;
    match (bracket, text[1..].trim_ascii_start().first()) {
        (b'{' | b'[', None) => None,
        (b'{', Some(b'"' | b'}')) | (b'[', Some(b'{')) => Some(true),
        _ => Some(false),
    }
}
