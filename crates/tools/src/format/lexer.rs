//! Finds calls with one resumable lexer for every format. Batch parsing is "push everything, then finish", so
//! the sampler and the reader of a log always agree.
//!
//! It works on bytes, so a character that is split over several tokens does no harm. It looks at every byte a
//! bounded number of times.

use std::ops::Range;

use turnwise_trajectory::{MalformedCall, ViolationKind};

use super::found_call::{Found, malformed};
use super::grammar::{Grammar, Role};
use super::places::{Event, Places};
use super::scan::{Advance, Scan};
use super::thought::Opening;

/// Maximum of bytes in a call. A longer one is malformed.
pub const MAX_CALL_BYTES: usize = 1 << 20;

/// Finds the calls of one completion, which may arrive in any pieces.
#[derive(Debug)]
pub struct Lexer {
    grammar: &'static dyn Grammar,
    text: Vec<u8>,
    /// Everything before this byte is processed.
    at: usize,
    inside: Option<Inside>,
    mode: Mode,
    /// Calls that count only if the text turns out to be no thought.
    held: Vec<Found>,
    /// Whether the thought is a message.
    channel: bool,
    /// The last call in that message.
    draft: Option<Found>,
    /// End of the last call or thought.
    last_end: usize,
    /// Start of the answer, after the last thought.
    answer: usize,
    /// Whether the answer has a call, valid or not.
    calls: bool,
    /// Place of the first marker of the environment's text.
    stop: Option<Range<usize>>,
    /// Calls that open before this byte are read without regard to string literals. A literal that was never
    /// closed hid a closing marker, so the text after the marker is scanned a second time, but never a third.
    raw_until: usize,
    /// No thought ends between the current call's start and this byte.
    searched: usize,
}

/// Meaning of a call at this place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// It's a call.
    Answer,
    /// It's a draft.
    Thought,
    /// It's a draft if a thought ends later.
    Doubt,
}

#[derive(Debug)]
struct Inside {
    start: usize,
    /// Place of the marker. A head may be before it.
    opened: usize,
    marker: usize,
    scan: Scan,
    raw: bool,
    /// Ends of thoughts before this byte lie in string literals of the call.
    checked: usize,
}

impl Lexer {
    /// Returns a lexer for a completion that begins outside thoughts.
    pub fn new(grammar: &'static dyn Grammar) -> Self {
        Self::opening(grammar, Opening::Answer)
    }

    /// Returns a lexer for a completion with this beginning. With [`Opening::Unknown`], calls are returned at
    /// the end of the text.
    pub fn opening(grammar: &'static dyn Grammar, opening: Opening) -> Self {
        let mode = match opening {
            _ if grammar.thoughts().is_empty() => Mode::Answer,
            Opening::Answer => Mode::Answer,
            Opening::Thought => Mode::Thought,
            Opening::Unknown => Mode::Doubt,
        };
        let (text, held) = (Vec::new(), Vec::new());
        Self {
            grammar,
            text,
            at: 0,
            inside: None,
            mode,
            held,
            channel: false,
            draft: None,
            last_end: 0,
            answer: 0,
            calls: false,
            stop: None,
            raw_until: 0,
            searched: 0,
        }
    }

    /// Takes the next bytes of the completion, and returns the calls that end in them.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Found> {
        self.text.extend_from_slice(bytes);
        self.run(false)
    }

    /// Takes the end of the completion, and returns the calls that end with it.
    pub fn finish(&mut self) -> Vec<Found> {
        let mut found = self.run(true);
        found.append(&mut self.held);
        found.extend(self.bare());
        found.extend(self.draft.take().map(misplaced));
        found
    }

    /// Returns the call that the whole answer is, if it holds no other.
    fn bare(&self) -> Option<Found> {
        let answer = std::str::from_utf8(&self.text[self.answer..]).ok()?;
        if self.calls || self.mode == Mode::Thought || answer.len() > MAX_CALL_BYTES {
            return None;
        }
        let start = self.answer + answer.len() - answer.trim_start().len();
        self.grammar.bare(answer.trim(), start..start + answer.trim().len())
    }

    /// Returns whether the text so far ends inside a call.
    pub fn is_inside(&self) -> bool {
        let is_call = |inside: &Inside| self.grammar.markers()[inside.marker].role == Role::Call;
        self.mode != Mode::Thought && self.inside.as_ref().is_some_and(is_call)
    }

    /// Counts the bytes of the completion, from its start, that no call holds that is still to come.
    pub fn settled(&self) -> usize {
        let open_answer = !self.calls && self.mode != Mode::Thought;
        if open_answer && self.grammar.may_be_bare(&self.text[self.answer..]) {
            return self.answer;
        }
        let open = self.inside.as_ref().map_or_else(|| self.at - self.head(self.at), |inside| inside.start);
        let held = self.held.iter().chain(&self.draft);
        held.map(|found| found.span().start).min().map_or(open, |held| held.min(open))
    }

    /// Returns the byte range of the first stop string so far. Sampling should end there, because the
    /// environment writes the text after it. Stop strings inside a thought or a call's string literal don't
    /// count.
    pub fn stop(&self) -> Option<Range<usize>> {
        self.stop.clone()
    }

    fn run(&mut self, finishing: bool) -> Vec<Found> {
        let mut found = Vec::new();
        loop {
            let Some(mut inside) = self.inside.take() else {
                if !self.open(finishing, &mut found) {
                    return found;
                }
                continue;
            };
            let (start, opened, marker) = (inside.start, inside.opened, inside.marker);
            match self.follow(&mut inside, finishing) {
                Advance::More if finishing && !inside.raw && inside.scan.looks_twice() => {
                    self.raw_until = self.text.len();
                    self.enter(marker, opened);
                }
                Advance::More if finishing => self.cut(&inside, self.text.len(), &mut found),
                Advance::More => {
                    self.inside = Some(inside);
                    return found;
                }
                Advance::End(end) => self.close(marker, start..end, &mut found),
                Advance::Cut(end) => self.cut(&inside, end, &mut found),
                Advance::Abandoned { end, closed } => {
                    self.raw_until = self.at;
                    if closed {
                        self.close(marker, start..end, &mut found);
                    } else {
                        self.cut(&inside, end, &mut found);
                    }
                }
                Advance::NotACall => {}
            }
        }
    }

    /// Looks for the next opening marker. Returns false if there's none yet.
    fn open(&mut self, finishing: bool, found: &mut Vec<Found>) -> bool {
        while let Some(skipped) =
            self.text[self.at..].iter().position(|byte| Places::may_start(self.grammar, *byte))
        {
            self.at += skipped;
            let places = Places { text: &self.text, at: self.at, last_end: self.last_end };
            match places.event(self.grammar, finishing) {
                Event::Nothing => self.at += 1,
                Event::Undecided => return false,
                Event::Think { length, firm, channel } if self.mode != Mode::Thought => {
                    // A thought begins here at the earliest, so the calls before it count.
                    found.append(&mut self.held);
                    self.channel = channel;
                    self.mode = if firm { Mode::Thought } else { Mode::Doubt };
                    self.at += length;
                }
                Event::Think { length, .. } => self.at += length,
                Event::EndOfThought { length } => {
                    self.at += length;
                    if self.mode != Mode::Answer {
                        self.held.clear();
                        self.draft = None;
                        self.mode = Mode::Answer;
                        (self.last_end, self.answer, self.calls) = (self.at, self.at, false);
                    }
                }
                Event::Repetition { length } => {
                    self.at += length;
                    self.last_end = self.at;
                }
                Event::Marker(index) => {
                    let marker = self.grammar.markers()[index];
                    if marker.role == Role::Forged && self.mode == Mode::Answer {
                        self.stop.get_or_insert(self.at..self.at + marker.text.len());
                    }
                    self.enter(index, self.at);
                    return true;
                }
            }
        }
        self.at = self.text.len();
        false
    }

    /// Begins to scan for the end of what a marker opens.
    fn enter(&mut self, index: usize, opened: usize) {
        let marker = self.grammar.markers()[index];
        let start = if marker.role == Role::Call { opened - self.head(opened) } else { opened };
        let raw = opened < self.raw_until;
        let scan = self.grammar.scan(index, raw);
        self.at = opened + marker.text.len() - marker.keep;
        self.inside = Some(Inside { start, opened, marker: index, scan, raw, checked: self.at });
    }

    /// Counts the bytes before a place that belong to a call that opens there.
    fn head(&self, at: usize) -> usize {
        self.grammar.head(&self.text[self.last_end.min(at)..at])
    }

    /// Continues in a call. A thought that ends outside string literals of the call ends the draft.
    fn follow(&mut self, inside: &mut Inside, finishing: bool) -> Advance {
        let mut limit = self.text.len();
        if self.mode == Mode::Thought {
            while let Some(close) = self.end_of_thought(inside.checked.max(self.searched)..self.text.len()) {
                self.searched = close;
                match inside.scan.advance(&self.text[..close], &mut self.at, false) {
                    Advance::More if !inside.scan.hides_for_certain() => {
                        self.at = close;
                        return Advance::NotACall;
                    }
                    Advance::More => inside.checked = close + 1,
                    ended => return ended,
                }
            }
            self.searched = self.without_partial_close();
            if !finishing {
                limit = self.searched;
            }
        }
        inside.scan.advance(&self.text[..limit], &mut self.at, finishing)
    }

    /// Ends a call by its closing marker.
    fn close(&mut self, marker: usize, span: Range<usize>, found: &mut Vec<Found>) {
        (self.at, self.last_end) = (span.end, span.end);
        let calls = self.read(marker, span);
        self.take(calls, found);
    }

    /// Ends a call that is never closed. The thought around it may have ended inside.
    fn cut(&mut self, inside: &Inside, end: usize, found: &mut Vec<Found>) {
        let close = match self.mode {
            Mode::Answer => None,
            // A call of an answer may have been cut inside a literal that quotes the tag.
            Mode::Doubt => self.plain_end_of_thought(inside, end),
            Mode::Thought => self.end_of_thought(inside.start..end),
        };
        if let Some(close) = close {
            (self.at, self.searched) = (close, close);
            return;
        }
        (self.at, self.last_end) = (end, end);
        let calls = self.unterminated(inside.marker, inside.start..end);
        self.take(calls, found);
    }

    fn take(&mut self, mut calls: Vec<Found>, found: &mut Vec<Found>) {
        self.calls |= !calls.is_empty() && self.mode != Mode::Thought;
        match self.mode {
            Mode::Answer => found.append(&mut calls),
            Mode::Doubt => self.held.append(&mut calls),
            Mode::Thought if self.channel => self.draft = calls.pop().or(self.draft.take()),
            Mode::Thought => {}
        }
    }

    /// Returns the first end of a thought in a part of the text.
    fn end_of_thought(&self, part: Range<usize>) -> Option<usize> {
        let closes =
            |rest: &[u8]| self.grammar.thoughts().iter().any(|t| rest.starts_with(t.close.as_bytes()));
        part.into_iter().find(|at| closes(&self.text[*at..]))
    }

    /// Works as [`Lexer::end_of_thought`], outside the string literals of a call.
    fn plain_end_of_thought(&self, inside: &Inside, end: usize) -> Option<usize> {
        let marker = self.grammar.markers()[inside.marker];
        let mut scan = self.grammar.scan(inside.marker, false);
        let mut at = inside.opened + marker.text.len() - marker.keep;
        let mut from = inside.start;
        while let Some(close) = self.end_of_thought(from..end) {
            let advance = scan.advance(&self.text[..close], &mut at, false);
            if advance != Advance::More || !scan.hides() {
                return Some(close);
            }
            from = close + 1;
        }
        None
    }

    /// Returns the length of the text without an incomplete tag at its end.
    fn without_partial_close(&self) -> usize {
        let is_start = |at: &usize| {
            let rest = &self.text[*at..];
            self.grammar.thoughts().iter().any(|thought| thought.close.as_bytes().starts_with(rest))
        };
        let longest = self.grammar.thoughts().iter().map(|thought| thought.close.len()).max().unwrap_or(0);
        let from = self.text.len().saturating_sub(longest);
        (from..self.text.len()).find(is_start).unwrap_or(self.text.len())
    }

    fn read(&self, marker: usize, span: Range<usize>) -> Vec<Found> {
        let malformed = |message: String| {
            let call = MalformedCall { kind: ViolationKind::InvalidJson, message, span: span.clone() };
            vec![Found { verdict: Err(call), recovered: None }]
        };
        if span.len() > MAX_CALL_BYTES {
            return malformed(format!("the call is longer than {MAX_CALL_BYTES} bytes"));
        }
        let Ok(text) = std::str::from_utf8(&self.text[span.clone()]) else {
            return malformed("the call is not UTF-8".into());
        };
        self.grammar.read(marker, text, span.start)
    }

    fn unterminated(&self, marker: usize, span: Range<usize>) -> Vec<Found> {
        let body = std::str::from_utf8(&self.text[span.clone()]).ok();
        let is_call = self.grammar.markers()[marker].role == Role::Call;
        if !is_call || body.is_some_and(|text| !self.grammar.is_attempt(marker, text)) {
            return Vec::new();
        }
        let message = format!("the call is never closed with {}", self.grammar.closing(marker));
        let body = body.filter(|text| text.len() <= MAX_CALL_BYTES);
        let recovered = body.and_then(|text| self.grammar.recover(marker, text, span.start));
        let call = MalformedCall { kind: ViolationKind::Unterminated, message, span };
        vec![Found { verdict: Err(call), recovered }]
    }
}

/// Returns the violation of a call in a message of thoughts that never ends.
fn misplaced(draft: Found) -> Found {
    let span = draft.span();
    match draft.verdict {
        Ok(call) => {
            let message = "a call inside a message of thoughts, which never ends";
            Found { recovered: Some(call), ..malformed(ViolationKind::InvalidJson, message, span) }
        }
        Err(_) => draft,
    }
}
