//! Describes a format to the lexer.

use std::fmt;
use std::ops::Range;

use turnwise_trajectory::{ToolCall, ViolationKind};

use super::found_call::{Found, malformed};
use super::scan::Scan;
use super::thought::{THOUGHTS, Thought};

/// Describes the beginnings, ends and contents of calls.
pub trait Grammar: fmt::Debug + Send + Sync {
    /// Returns the markers that open a call or a forged observation. The first match counts.
    fn markers(&self) -> &'static [Marker];

    /// Returns the scanner that finds the end of what a marker opened. With `raw`, string literals hide
    /// nothing and another opening marker ends the call, because a first scan found no end.
    fn scan(&self, marker: usize, raw: bool) -> Scan;

    /// Reads a complete call (or several, in formats that list them), from the marker to the end. `offset` is
    /// the place of the text in the completion.
    fn read(&self, marker: usize, text: &str, offset: usize) -> Vec<Found>;

    /// Reads a call that only lacks its closing marker.
    fn recover(&self, marker: usize, text: &str, offset: usize) -> Option<ToolCall> {
        let closed = format!("{text}{}", self.closing(marker));
        let mut call = self.read(marker, &closed, offset).pop()?.verdict.ok()?;
        call.span = offset..offset + text.len();
        Some(call)
    }

    /// Reads an answer that is a call without any marker and nothing else. There are no blanks around it.
    fn bare(&self, _answer: &str, _span: Range<usize>) -> Option<Found> {
        None
    }

    /// Returns whether an answer that begins like this may turn out to be such a call.
    fn may_be_bare(&self, _beginning: &[u8]) -> bool {
        false
    }

    /// Counts the bytes at the end of a text that belong to a call that opens after it. Most formats have a
    /// marker in front of everything.
    fn head(&self, _before: &[u8]) -> usize {
        0
    }

    /// Returns the closing marker, for messages.
    fn closing(&self, marker: usize) -> &'static str;

    /// Returns whether text that a marker opened and nothing closed was meant as a call.
    fn is_attempt(&self, _marker: usize, _text: &str) -> bool {
        true
    }

    /// Returns the tags of thoughts, which hold no calls. A format that is made for calls inside thoughts
    /// returns none.
    fn thoughts(&self) -> &'static [Thought] {
        THOUGHTS
    }

    /// Returns the opening tag of thoughts that are messages. Its tokens are no mention, and a call in such a
    /// message that never ends is a violation.
    fn channel(&self) -> Option<&'static str> {
        None
    }
}

/// Describes an opening marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// The bytes.
    pub text: &'static str,
    /// Position in which it counts.
    pub place: Place,
    /// Bytes at its end that also belong to the body.
    pub keep: usize,
    /// Meaning of the marker.
    pub role: Role,
}

/// Says what a marker means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A call.
    Call,
    /// Text that only the environment may write: sampling stops there.
    Forged,
    /// The end of a call that never began. Directly after a call it's a repetition and is ignored.
    Stray,
}

/// Names a position in which a marker counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Anywhere.
    Anywhere,
    /// After nothing but blanks since the start of the line, a `;`, a special token, or the last call or
    /// thought.
    LineStart,
    /// At the start of a word.
    WordStart,
    /// Directly after a name with which a line begins.
    AfterName,
    /// Directly after a call, separators apart.
    AfterCall,
}

impl Marker {
    /// Returns a marker that opens a call anywhere.
    pub const fn call(text: &'static str) -> Self {
        Self { text, place: Place::Anywhere, keep: 0, role: Role::Call }
    }

    /// Returns a marker that opens a call at some places and is a part of it.
    pub const fn bracket(text: &'static str, place: Place) -> Self {
        Self { text, place, keep: text.len(), role: Role::Call }
    }

    /// Returns a marker that opens an observation, which the model mustn't write.
    pub const fn forged(text: &'static str) -> Self {
        Self { text, place: Place::Anywhere, keep: 0, role: Role::Forged }
    }

    /// Returns a marker that closes a call, met outside of one.
    pub const fn stray(text: &'static str) -> Self {
        Self { text, place: Place::Anywhere, keep: 0, role: Role::Stray }
    }
}

/// Checks a tool's name that is written without quotes. It may hold no character of the markers around it.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let structural = |c: char| c.is_control() || "<>[]{}()\"'`=".contains(c);
    match name.chars().find(|c| structural(*c)) {
        None if name.trim().is_empty() => Err("the call has no name".into()),
        None => Ok(()),
        Some(c) => Err(format!("{c:?} in the name of a tool: {name:.40}")),
    }
}

/// Returns the text between the markers of a call, either of which may be missing.
pub(super) fn inside<'t>(text: &'t str, open: &str, close: &str) -> &'t str {
    let body = text.strip_prefix(open).unwrap_or(text);
    body.strip_suffix(close).unwrap_or(body)
}

/// Returns the violation of a marker that only the environment may write.
pub(super) fn forged_observation(text: &str, offset: usize) -> Vec<Found> {
    let message = format!("{} is written by the environment only", text.trim_end());
    vec![malformed(ViolationKind::ForgedObservation, message, offset..offset + text.len())]
}

/// Returns the violation of a closing marker without an opening one.
pub(super) fn never_opened(text: &str, offset: usize) -> Vec<Found> {
    let message = format!("{text} closes a call that was never opened");
    vec![malformed(ViolationKind::InvalidJson, message, offset..offset + text.len())]
}
