//! Scans a call that is a JSON value and nothing else.

use super::super::quotes::JsonQuotes;
use super::{Advance, blanks, is_start, starts_line};

/// Ends with the bracket that closes a JSON object or array.
#[derive(Debug)]
pub struct JsonValue {
    /// The opening bracket, once it was seen.
    bracket: Option<u8>,
    /// Whether it certainly continues as JSON. Prose has brackets at the start of a line too.
    is_json: bool,
    depth: u32,
    quotes: JsonQuotes,
    /// Markers that open another call outside string literals.
    markers: &'static [&'static str],
    raw: bool,
}

impl JsonValue {
    /// Starts at an opening bracket.
    pub fn new(markers: &'static [&'static str], raw: bool) -> Self {
        Self { bracket: None, is_json: true, depth: 0, quotes: JsonQuotes::default(), markers, raw }
    }

    /// Ends the scan unless JSON follows the bracket: a key in an object, an object in an array.
    #[must_use]
    pub fn unless_prose(self) -> Self {
        Self { is_json: false, ..self }
    }

    pub(super) fn hides(&self) -> bool {
        self.quotes.inside() && !self.quotes.is_broken()
    }

    pub(super) fn advance(&mut self, text: &[u8], at: &mut usize, finishing: bool) -> Advance {
        while *at < text.len() {
            let (rest, byte) = (&text[*at..], text[*at]);
            let Some(bracket) = self.bracket else {
                self.bracket = Some(byte);
                self.depth = 1;
                *at += 1;
                continue;
            };
            if !self.is_json {
                let goes_on = if bracket == b'{' { matches!(byte, b'"' | b'}') } else { byte == b'{' };
                match byte {
                    _ if byte.is_ascii_whitespace() => {
                        *at += 1;
                        continue;
                    }
                    _ if goes_on => self.is_json = true,
                    _ => return Advance::NotACall,
                }
            }
            if !self.quotes.inside() || self.raw {
                if !finishing && self.markers.iter().any(|marker| is_start(rest, marker)) {
                    return Advance::More;
                }
                let marked = self.markers.iter().any(|marker| rest.starts_with(marker.as_bytes()));
                if marked || self.raw && self.opens_again(text, *at) {
                    return Advance::Cut(*at);
                }
            }
            match byte {
                b'{' | b'[' if !self.quotes.inside() => self.depth += 1,
                b'}' | b']' if !self.quotes.inside() => self.depth -= 1,
                _ => {}
            }
            self.quotes.step(byte);
            *at += 1;
            if self.depth == 0 {
                return Advance::End(*at);
            }
        }
        Advance::More
    }

    /// Returns whether another call probably opens here, after a broken one.
    fn opens_again(&self, text: &[u8], at: usize) -> bool {
        let Some(after) = text[at..].strip_prefix(b"{") else { return false };
        if self.depth == 1 && self.bracket == Some(b'[') && !self.quotes.inside() && in_list(&text[..at]) {
            return false;
        }
        after[blanks(after)..].starts_with(b"\"name\"") && (!self.quotes.inside() || starts_line(text, at))
    }
}

/// Returns whether the next element of a list follows this text.
fn in_list(before: &[u8]) -> bool {
    matches!(before.trim_ascii_end().last(), Some(b',' | b'['))
}
