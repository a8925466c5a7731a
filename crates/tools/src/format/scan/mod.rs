//! Finds the end of a call. Each scanner can stop at any byte and continue when more has arrived.

mod any_list;
mod fence;
mod headed_json;
mod json_value;
mod named_json;
mod python_calls;
mod section;
mod tagged;

pub use any_list::AnyList;
pub(super) use fence::Block;
pub use fence::Fence;
pub(super) use headed_json::opens_json;
pub use headed_json::{Head, HeadedJson};
pub use json_value::JsonValue;
pub use named_json::NamedJson;
pub use python_calls::PythonCalls;
pub use section::Section;
pub use tagged::{Gate, Tagged};

/// Progress of a scanner.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Advance {
    /// It has read all text so far.
    More,
    /// The call ends before this byte.
    End(usize),
    /// Another call opens at this byte, without the first having been closed.
    Cut(usize),
    /// A string literal is broken, so the marker that it hid counts. The call ends before this byte, closed
    /// or not.
    Abandoned { end: usize, closed: bool },
    /// The marker didn't open a call.
    NotACall,
}

/// Chooses the scanner of a call.
#[derive(Debug)]
pub enum Scan {
    /// Ends with a closing marker.
    Tagged(Tagged),
    /// Ends with a JSON value.
    Value(JsonValue),
    /// Ends with a JSON value after a name.
    Named(NamedJson),
    /// Ends with a JSON value after a header.
    Headed(HeadedJson),
    /// Ends with the bracket that closes a list of Python calls.
    Calls(PythonCalls),
    /// Ends with the bracket that closes a list of calls of either kind.
    List(AnyList),
    /// Ends with the closing marker of a section without calls.
    Section(Section),
    /// Ends with a closing fence.
    Fence(Fence),
    /// Ends at once, because the marker is everything.
    Marker,
    /// Ends at the first byte that isn't blank.
    AnyText,
}

impl Scan {
    pub(super) fn advance(&mut self, text: &[u8], at: &mut usize, finishing: bool) -> Advance {
        match self {
            Scan::Tagged(scan) => scan.advance(text, at, finishing),
            Scan::Value(scan) => scan.advance(text, at, finishing),
            Scan::Named(scan) => scan.advance(text, at, finishing),
            Scan::Headed(scan) => scan.advance(text, at, finishing),
            Scan::Calls(scan) => scan.advance(text, at, finishing),
            Scan::List(scan) => scan.advance(text, at, finishing),
            Scan::Section(scan) => scan.advance(text, at, finishing),
            Scan::Fence(scan) => scan.advance(text, at, finishing),
            Scan::Marker => Advance::End(*at),
            Scan::AnyText => {
                *at += text[*at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                if *at < text.len() { Advance::End(*at) } else { Advance::More }
            }
        }
    }

    /// Returns whether the text here lies in a string literal, where a marker is only text.
    pub(super) fn hides(&self) -> bool {
        match self {
            Scan::Tagged(scan) => scan.hides(),
            Scan::Value(scan) => scan.hides(),
            Scan::Named(scan) => scan.hides(),
            Scan::Headed(scan) => scan.hides(),
            Scan::Calls(scan) => scan.hides(),
            Scan::List(scan) => scan.hides(),
            Scan::Fence(scan) => scan.hides(),
            Scan::Section(_) | Scan::Marker | Scan::AnyText => false,
        }
    }

    /// Returns whether the end of a thought that is hidden here is only text, even in a draft.
    pub(super) fn hides_for_certain(&self) -> bool {
        self.hides() && !matches!(self, Scan::Tagged(scan) if !scan.is_certain())
    }

    /// Returns whether a call that never ends is scanned again, for another call that opens inside it.
    pub(super) fn looks_twice(&self) -> bool {
        matches!(self, Scan::Value(_) | Scan::Named(_) | Scan::Headed(_) | Scan::Calls(_) | Scan::List(_))
    }
}

/// Returns whether `text` is a proper beginning of `marker`.
fn is_start(text: &[u8], marker: &str) -> bool {
    text.len() < marker.len() && marker.as_bytes().starts_with(text)
}

/// Returns whether only blanks lie between this byte and the start of its line.
fn starts_line(text: &[u8], at: usize) -> bool {
    let before = text[..at].iter().rev().find(|byte| !matches!(byte, b' ' | b'\t'));
    before.is_none_or(|byte| *byte == b'\n')
}

/// Returns how many bytes at the start of a text are blank.
fn blanks(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}
