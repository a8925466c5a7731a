//! Scans calls between an opening and a closing marker.

use super::super::quotes::{JsonQuotes, Quotes};
use super::{Advance, is_start, starts_line};

/// Ends with the closing marker outside string literals.
#[derive(Debug)]
pub struct Tagged {
    open: &'static str,
    close: &'static str,
    /// One of these must stand before the closing marker, blanks apart.
    after: &'static [&'static str],
    quotes: Quotes,
    gate: Gate,
    /// End of the call if string literals are ignored.
    hidden: Option<usize>,
    /// Place where another call opens if they are ignored.
    reopened: Option<usize>,
}

/// Names the place from which string literals count. Before it, a quotation mark is prose around a mention of
/// the marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// They count at once.
    Open,
    /// They count if the body begins with one of these bytes.
    Starting(&'static [u8]),
    /// They count after this text.
    Behind(&'static str),
}

impl Tagged {
    /// Scans from after `open` to `close`. Another `open` before `close` means that the first was never
    /// closed.
    pub fn new(open: &'static str, close: &'static str, quotes: Quotes, gate: Gate) -> Self {
        Self { open, close, after: &[], quotes, gate, hidden: None, reopened: None }
    }

    /// Works as [`Tagged::new`] for a call with JSON after a gate. With `raw`, string literals hide nothing.
    pub fn json(open: &'static str, close: &'static str, gate: Gate, raw: bool) -> Self {
        if raw {
            return Self::new(open, close, Quotes::None, Gate::Open);
        }
        Self::new(open, close, Quotes::Json(JsonQuotes::default()), gate)
    }

    /// Counts the closing marker only directly after one of these, blanks apart. At the end of the text a
    /// bare one counts too.
    #[must_use]
    pub fn closing_after(self, after: &'static [&'static str]) -> Self {
        Self { after, ..self }
    }

    pub(super) fn hides(&self) -> bool {
        self.gate == Gate::Open && self.quotes.hide(b'<') && !self.quotes.are_broken()
    }

    pub(super) fn is_certain(&self) -> bool {
        self.quotes.are_certain()
    }

    pub(super) fn advance(&mut self, text: &[u8], at: &mut usize, finishing: bool) -> Advance {
        while *at < text.len() {
            let rest = &text[*at..];
            if !finishing && self.is_undecided(rest) {
                return Advance::More;
            }
            self.pass_gate(rest);
            let counts = self.gate == Gate::Open;
            let hidden = counts && self.quotes.hide(rest[0]);
            if rest.starts_with(self.open.as_bytes()) {
                if !hidden {
                    return self.give_up().unwrap_or(Advance::Cut(*at));
                }
                if self.quotes.are_broken() && starts_line(text, *at) {
                    return Advance::Abandoned { end: *at, closed: false };
                }
                self.reopened.get_or_insert(*at);
            }
            if rest.starts_with(self.close.as_bytes()) {
                let end = *at + self.close.len();
                if !hidden && self.may_close(&text[..*at]) {
                    return Advance::End(end);
                }
                self.hidden.get_or_insert(end);
            }
            let step = if counts { self.quotes.step(rest, finishing) } else { Some(1) };
            let Some(step) = step else { return Advance::More };
            *at += step;
            if self.quotes.are_broken()
                && let Some(abandoned) = self.give_up()
            {
                return abandoned;
            }
        }
        if finishing { self.give_up().unwrap_or(Advance::More) } else { Advance::More }
    }

    /// Returns the end without regard to string literals, if they hid one.
    fn give_up(&self) -> Option<Advance> {
        let end = self.hidden?;
        Some(match self.reopened.filter(|open| *open < end) {
            Some(open) => Advance::Abandoned { end: open, closed: false },
            None => Advance::Abandoned { end, closed: true },
        })
    }

    fn pass_gate(&mut self, rest: &[u8]) {
        match self.gate {
            Gate::Starting(first) if !rest[0].is_ascii_whitespace() => {
                if !first.contains(&rest[0]) {
                    self.quotes = Quotes::None;
                }
                self.gate = Gate::Open;
            }
            Gate::Behind(text) if rest.starts_with(text.as_bytes()) => self.gate = Gate::Open,
            Gate::Open | Gate::Starting(_) | Gate::Behind(_) => {}
        }
    }

    fn may_close(&self, before: &[u8]) -> bool {
        let before = before.trim_ascii_end();
        self.after.is_empty() || self.after.iter().any(|after| before.ends_with(after.as_bytes()))
    }

    /// Returns whether later bytes decide about a marker here.
    fn is_undecided(&self, rest: &[u8]) -> bool {
        let waits = matches!(self.gate, Gate::Behind(text) if is_start(rest, text));
        waits || is_start(rest, self.close) || is_start(rest, self.open)
    }
}
