//! Finding the end of a call. Each scanner can stop at any byte and go on when more has come.

use super::quotes::{JsonQuotes, PythonQuotes, Quotes};

/// How far a scanner came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Advance {
    /// To the end of the text so far.
    More,
    /// The call ends before this byte.
    End(usize),
    /// Another call opens at this byte, without the first having been closed.
    Cut(usize),
    /// A string literal is broken, so the closing marker that it hid counts: the call ends before this byte.
    Abandoned(usize),
    /// What the marker opened isn't a call.
    NotACall,
}

/// The scanners.
#[derive(Debug)]
pub enum Scan {
    /// Ends with a closing marker.
    Tagged(Tagged),
    /// Ends with a JSON value.
    Value(JsonValue),
    /// Ends with the bracket that closes a list of Python calls.
    Calls(PythonCalls),
    /// Ends at once: the marker is all there is to see.
    Marker,
    /// Ends at the first thing that isn't blank.
    AnyText,
}

impl Scan {
    pub(super) fn advance(&mut self, text: &[u8], at: &mut usize, finishing: bool) -> Advance {
        match self {
            Scan::Tagged(scan) => scan.advance(text, at, finishing),
            Scan::Value(scan) => scan.advance(text, at, finishing),
            Scan::Calls(scan) => scan.advance(text, at, finishing),
            Scan::Marker => Advance::End(*at),
            Scan::AnyText => {
                *at += text[*at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                if *at < text.len() { Advance::End(*at) } else { Advance::More }
            }
        }
    }
}

/// Ends with a closing marker that isn't inside a string literal.
#[derive(Debug)]
pub struct Tagged {
    open: &'static str,
    close: &'static str,
    /// What must stand before the closing marker, blanks apart.
    after: &'static str,
    quotes: Quotes,
    /// Where the call would end if its string literals counted for nothing.
    hidden: Option<usize>,
}

impl Tagged {
    /// From after `open` to `close`; another `open` on the way means that the first was never closed.
    pub fn new(open: &'static str, close: &'static str, quotes: Quotes) -> Self {
        Self { open, close, after: "", quotes, hidden: None }
    }

    /// The closing marker counts only right after this text, blanks apart; a bare one does once the text is over.
    #[must_use]
    pub fn closing_after(self, after: &'static str) -> Self {
        Self { after, ..self }
    }

    fn advance(&mut self, text: &[u8], at: &mut usize, finishing: bool) -> Advance {
        while *at < text.len() {
            let rest = &text[*at..];
            if !finishing && self.is_undecided(rest) {
                return Advance::More;
            }
            let hidden = self.quotes.hide(rest[0]);
            if let Some(cut) = self.opens(rest).filter(|_| !hidden) {
                return self.hidden.map_or(Advance::Cut(*at + cut), Advance::Abandoned);
            }
            if rest.starts_with(self.close.as_bytes()) {
                let end = *at + self.close.len();
                if !hidden && text[..*at].trim_ascii_end().ends_with(self.after.as_bytes()) {
                    return Advance::End(end);
                }
                self.hidden.get_or_insert(end);
            }
            let Some(step) = self.quotes.step(rest, finishing) else { return Advance::More };
            *at += step;
            if let Some(end) = self.hidden.filter(|_| self.quotes.are_broken()) {
                return Advance::Abandoned(end);
            }
        }
        self.hidden.filter(|_| finishing).map_or(Advance::More, Advance::Abandoned)
    }

    /// Whether what comes next decides about a marker here. A closing fence, which begins with a line break, may turn
    /// out to be the next opening one.
    fn is_undecided(&self, rest: &[u8]) -> bool {
        match self.close.strip_prefix('\n') {
            Some(_) => rest[0] == b'\n' && is_start(&rest[1..], self.open),
            None => is_start(rest, self.close) || is_start(rest, self.open),
        }
    }

    /// Whether another call opens here, and after how many bytes.
    fn opens(&self, rest: &[u8]) -> Option<usize> {
        let skip = usize::from(self.close.starts_with('\n'));
        let at_break = skip == 0 || rest[0] == b'\n';
        (at_break && rest[skip..].starts_with(self.open.as_bytes())).then_some(skip)
    }
}

/// Whether `text` is the start of `marker`, but not all of it.
fn is_start(text: &[u8], marker: &str) -> bool {
    text.len() < marker.len() && marker.as_bytes().starts_with(text)
}

/// Ends with a JSON object or array, before which a head may stand: a tool's name and a marker.
#[derive(Debug)]
pub struct JsonValue {
    head: Option<&'static str>,
    in_head: bool,
    depth: u32,
    quotes: JsonQuotes,
    head_bytes: usize,
}

/// A tool's name is shorter than this.
const MAX_HEAD: usize = 256;

impl JsonValue {
    /// `head` ends what may stand before the value.
    pub fn new(head: Option<&'static str>) -> Self {
        Self { head, in_head: true, depth: 0, quotes: JsonQuotes::default(), head_bytes: 0 }
    }

    fn advance(&mut self, text: &[u8], at: &mut usize, finishing: bool) -> Advance {
        while *at < text.len() {
            let (rest, byte) = (&text[*at..], text[*at]);
            if self.in_head {
                let head = self.head.unwrap_or_default().as_bytes();
                if !head.is_empty() && head.starts_with(rest) && rest.len() < head.len() && !finishing {
                    return Advance::More;
                }
                if !head.is_empty() && rest.starts_with(head) {
                    *at += head.len();
                    self.head = None;
                    continue;
                }
                self.in_head = !matches!(byte, b'{' | b'[');
                self.head_bytes += 1;
                let is_blank = byte.is_ascii_whitespace();
                if self.in_head && !is_blank && (self.head.is_none() || self.head_bytes > MAX_HEAD) {
                    return if head.is_empty() { Advance::NotACall } else { Advance::End(*at) };
                }
            }
            match byte {
                b'{' | b'[' if !self.quotes.inside() => self.depth += 1,
                b'}' | b']' if !self.quotes.inside() => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            self.quotes.step(byte);
            *at += 1;
            if !self.in_head && self.depth == 0 {
                return Advance::End(*at);
            }
        }
        Advance::More
    }
}

/// Ends with the bracket that closes `[name(…), …]`.
#[derive(Debug)]
pub struct PythonCalls {
    depth: u32,
    /// Whether the name and its parenthesis have been seen, without which it's a list of something else.
    named: bool,
    quotes: PythonQuotes,
    previous: u8,
}

impl Default for PythonCalls {
    fn default() -> Self {
        Self::new()
    }
}

impl PythonCalls {
    /// After the opening bracket.
    pub fn new() -> Self {
        Self { depth: 1, named: false, quotes: PythonQuotes::default(), previous: b'[' }
    }

    fn advance(&mut self, text: &[u8], at: &mut usize, finishing: bool) -> Advance {
        while *at < text.len() {
            let byte = text[*at];
            if !self.named {
                let in_name = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
                let after_name = self.previous.is_ascii_alphanumeric() || self.previous == b'_';
                match byte {
                    b'(' if after_name => self.named = true,
                    _ if byte.is_ascii_whitespace() && self.previous == b'[' => {}
                    _ if in_name && !(self.previous == b'[' && byte.is_ascii_digit()) => self.previous = byte,
                    _ => return Advance::NotACall,
                }
            }
            if self.named && !self.quotes.hide(byte) {
                match byte {
                    b'(' | b'[' | b'{' => self.depth += 1,
                    b')' | b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                    _ => {}
                }
            }
            let Some(step) = self.quotes.step(&text[*at..], finishing) else { return Advance::More };
            *at += step;
            if self.depth == 0 {
                return Advance::End(*at);
            }
        }
        Advance::More
    }
}
