//! Reads tokens while they are sampled: the text outside calls, the calls, and where the sequence ends.
//!
//! A streamed answer and a whole one are read by the same code, so they hold the same.

use std::ops::Range;
use std::sync::Arc;

use turnwise_rollout::chat::Dialogue;
use turnwise_tools::format::Lexer;
use turnwise_trajectory::{MalformedCall, TokenId, ToolCall};

use crate::model::Model;

/// Reads one sequence.
pub(crate) struct Reader {
    model: Arc<Model>,
    stop: Vec<TokenId>,
    strings: Vec<String>,
    calls: Option<Calls>,
    /// The text so far, with the part that the prompt holds.
    bytes: Vec<u8>,
    /// Bytes of the text that the prompt holds.
    forced: usize,
    /// The byte at which the text ends, once it does.
    end: Option<usize>,
    /// The stop string that ended it.
    ended_by: Option<usize>,
    /// Bytes of the text that were dealt with.
    given: usize,
    /// Text that isn't given yet: blanks, which a call may follow.
    held: String,
}

/// Reads the calls of a sequence.
struct Calls {
    dialogue: Arc<Dialogue>,
    lexer: Lexer,
    /// Whether the first call ends the sequence.
    one: bool,
    verdicts: Vec<Result<ToolCall, MalformedCall>>,
}

/// Says how calls are read.
pub(crate) struct Calling {
    /// The tools and the format.
    pub(crate) dialogue: Arc<Dialogue>,
    /// Whether the first call ends the sequence.
    pub(crate) one: bool,
}

impl Reader {
    /// Begins to read.
    ///
    /// - `stop`: tokens without text
    /// - `strings`: texts that end the sequence
    /// - `forced`: tokens of the turn that the prompt holds, with the bytes of their call
    pub(crate) fn new(
        model: Arc<Model>,
        stop: Vec<TokenId>,
        strings: Vec<String>,
        calling: Option<Calling>,
        forced: (&[TokenId], usize),
    ) -> Self {
        let calls = calling.map(|Calling { dialogue, one }| {
            let lexer = dialogue.format().lexer_from(dialogue.chat().opening());
            Calls { dialogue, lexer, one, verdicts: Vec::new() }
        });
        let mut reader = Self {
            model,
            stop,
            strings,
            calls,
            bytes: Vec::new(),
            forced: 0,
            end: None,
            ended_by: None,
            given: 0,
            held: String::new(),
        };
        for token in forced.0 {
            reader.push(*token);
        }
        reader.forced = reader.bytes.len();
        reader.given = reader.forced.saturating_sub(forced.1);
        reader
    }

    /// Takes the next token; returns whether the sequence ends there.
    pub(crate) fn push(&mut self, token: TokenId) -> bool {
        if self.end.is_some() {
            return true;
        }
        let mut new = if self.stop.contains(&token) { Vec::new() } else { self.model.bytes(token) };
        // Some tokenizers write a space before the first word, which no text has.
        if self.bytes.is_empty()
            && new.first() == Some(&b' ')
            && !self.model.decode(&[token]).starts_with(' ')
        {
            new.remove(0);
        }
        let from = self.bytes.len();
        self.bytes.extend_from_slice(&new);
        if let Some((at, string)) = self.string_at(from) {
            (self.end, self.ended_by) = (Some(at), Some(string));
        }
        if let Some(calls) = &mut self.calls {
            for found in calls.lexer.push(&new) {
                let span = found.span();
                if found.verdict.is_ok() && calls.one && self.end.is_none_or(|end| span.end < end) {
                    (self.end, self.ended_by) = (Some(span.end), None);
                }
                calls.verdicts.push(found.verdict);
            }
            if let Some(stop) = calls.lexer.stop() {
                self.end = Some(self.end.map_or(stop.start, |end| end.min(stop.start)));
            }
        }
        self.end.is_some()
    }

    /// Finds the first stop string that the bytes from `from` on complete.
    fn string_at(&self, from: usize) -> Option<(usize, usize)> {
        let found = self.strings.iter().enumerate().filter_map(|(nth, string)| {
            let string = string.as_bytes();
            let start = (from + 1).saturating_sub(string.len()).max(self.forced);
            let at = self.bytes.get(start..)?.windows(string.len()).position(|window| window == string)?;
            Some((start + at, nth))
        });
        found.min()
    }

    /// Returns the text outside calls that is new and certain.
    pub(crate) fn text(&mut self) -> String {
        let mut limit = self.end.unwrap_or(self.bytes.len() - self.begun_string());
        if let Some(calls) = &self.calls {
            limit = limit.min(calls.lexer.settled());
        }
        if limit > self.given {
            limit -= incomplete(&self.bytes[self.given..limit]);
        }
        self.give(limit);
        let certain = if self.calls.is_some() { self.held.trim_end().len() } else { self.held.len() };
        let rest = self.held.split_off(certain);
        std::mem::replace(&mut self.held, rest)
    }

    /// Ends the sequence; returns the rest of the text, and the calls.
    pub(crate) fn finish(&mut self) -> (String, Vec<ToolCall>) {
        if let Some(calls) = &mut self.calls {
            calls.verdicts.extend(calls.lexer.finish().into_iter().map(|found| found.verdict));
        }
        let end = self.end.unwrap_or(self.bytes.len());
        self.give(end);
        let mut rest = std::mem::take(&mut self.held);
        let calls = self.typed(end);
        if !calls.is_empty() {
            rest.truncate(rest.trim_end().len());
        }
        (rest, calls)
    }

    /// Returns the stop string that ended the sequence.
    pub(crate) fn ended_by(&self) -> Option<&str> {
        self.ended_by.map(|nth| self.strings[nth].as_str())
    }

    /// Returns the spans of the calls that end before `end`.
    fn spans(&self, end: usize) -> impl Iterator<Item = Range<usize>> + '_ {
        let verdicts = self.calls.iter().flat_map(|calls| &calls.verdicts);
        verdicts.flatten().map(|call| call.span.clone()).filter(move |span| span.end <= end)
    }

    /// Moves the text before `limit` outside calls to the held text.
    fn give(&mut self, limit: usize) {
        while self.given < limit {
            let inside = self.spans(self.end.unwrap_or(usize::MAX)).find(|span| span.contains(&self.given));
            if let Some(span) = inside {
                self.given = span.end;
                continue;
            }
            let starts = self.spans(self.end.unwrap_or(usize::MAX)).map(|span| span.start);
            let next = starts.filter(|start| *start > self.given).min().unwrap_or(limit).min(limit);
            self.held.push_str(&String::from_utf8_lossy(&self.bytes[self.given..next]));
            self.given = next;
        }
    }

    /// Returns the calls before `end`, with the types of their schemas where a format writes none.
    fn typed(&self, end: usize) -> Vec<ToolCall> {
        let Some(calls) = &self.calls else { return Vec::new() };
        let text = String::from_utf8_lossy(&self.bytes);
        let (format, tools) = (calls.dialogue.format(), calls.dialogue.tools());
        let checked = format.parse_checked_from(calls.dialogue.chat().opening(), &text, tools);
        let same = checked.len() == calls.verdicts.len();
        let typed = |(nth, verdict): (usize, &Result<ToolCall, MalformedCall>)| {
            let call = verdict.as_ref().ok().filter(|call| call.span.end <= end)?;
            let checked = checked.get(nth).filter(|_| same).and_then(|checked| checked.as_ref().ok());
            Some(checked.unwrap_or(call).clone())
        };
        let most = if calls.one { 1 } else { usize::MAX };
        calls.verdicts.iter().enumerate().filter_map(typed).take(most).collect()
    }

    /// Counts the bytes at the end of the text with which a stop string may begin.
    fn begun_string(&self) -> usize {
        let longest = |string: &String| {
            let string = string.as_bytes();
            let most = (string.len() - 1).min(self.bytes.len() - self.forced);
            (1..=most).rev().find(|&length| self.bytes.ends_with(&string[..length]))
        };
        self.strings.iter().filter_map(longest).max().unwrap_or(0)
    }
}

/// Counts the bytes at the end that begin a character.
fn incomplete(bytes: &[u8]) -> usize {
    let tail = &bytes[bytes.len().saturating_sub(3)..];
    (0..tail.len())
        .map(|at| &tail[at..])
        .find(|rest| {
            std::str::from_utf8(rest)
                .is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
        })
        .map_or(0, <[u8]>::len)
}
