//! Decides whether a byte lies inside a string literal: of JSON, of Python, between tags, or of nothing.

/// Follows string literals byte by byte for a scanner.
#[derive(Debug)]
pub enum Quotes {
    /// No literals.
    None,
    /// Literals of JSON.
    Json(JsonQuotes),
    /// Literals and comments of Python.
    Python(PythonQuotes),
    /// Values between tags.
    Parameters(ParameterQuotes),
    /// Literals between two equal marks.
    Marks(MarkQuotes),
}

impl Quotes {
    /// Returns whether a marker that starts with `byte` here is only text.
    pub(super) fn hide(&self, byte: u8) -> bool {
        match self {
            Quotes::None => false,
            Quotes::Json(quotes) => quotes.inside(),
            Quotes::Python(quotes) => quotes.hide(byte),
            Quotes::Parameters(quotes) => quotes.inside,
            Quotes::Marks(quotes) => quotes.inside,
        }
    }

    /// Returns whether a tag that is hidden here is only text for certain. It isn't in a value between tags
    /// or marks, which ends at one that may be another call's.
    pub(super) fn are_certain(&self) -> bool {
        !matches!(self, Quotes::Parameters(_) | Quotes::Marks(_))
    }

    /// Advances, and returns the number of bytes, or none if later bytes decide.
    pub(super) fn step(&mut self, rest: &[u8], finishing: bool) -> Option<usize> {
        match self {
            Quotes::None => Some(1),
            Quotes::Json(quotes) => {
                quotes.step(rest[0]);
                Some(1)
            }
            Quotes::Python(quotes) => quotes.step(rest, finishing),
            Quotes::Parameters(quotes) => quotes.step(rest, finishing),
            Quotes::Marks(quotes) => quotes.step(rest, finishing),
        }
    }

    /// Returns whether a literal continued where it can't.
    pub(super) fn are_broken(&self) -> bool {
        matches!(self, Quotes::Json(quotes) if quotes.broken)
    }
}

/// Tags around a value, and the tags with which the call continues.
#[derive(Debug)]
pub struct ValueTags {
    /// Opens a value.
    pub open: &'static str,
    /// Closes it, if one of `next` follows.
    pub close: &'static str,
    /// Tags of which one follows a value, blanks apart.
    pub next: &'static [&'static str],
}

impl ValueTags {
    /// Returns whether a value ends at the closing tag that the text begins with, or none if later bytes
    /// decide.
    pub(super) fn ends(&self, text: &[u8], finishing: bool) -> Option<bool> {
        let rest = text[self.close.len()..].trim_ascii_start();
        let undecided =
            self.next.iter().any(|next| next.len() > rest.len() && next.as_bytes().starts_with(rest));
        let ends = self.next.iter().any(|next| rest.starts_with(next.as_bytes()));
        if undecided && !finishing { None } else { Some(ends) }
    }

    /// Returns the end of a value: the closing tag after which the call continues. One inside code isn't the
    /// end.
    pub(super) fn end(&self, value: &str) -> Option<usize> {
        let mut ends = value.match_indices(self.close).map(|(at, _)| at);
        ends.find(|at| self.ends(&value.as_bytes()[*at..], true) == Some(true))
    }
}

/// Follows the values of an XML-like call. A value ends at the closing tag after which the call continues.
#[derive(Debug)]
pub struct ParameterQuotes {
    tags: &'static ValueTags,
    inside: bool,
}

impl ParameterQuotes {
    /// Starts outside values.
    pub fn new(tags: &'static ValueTags) -> Self {
        Self { tags, inside: false }
    }

    fn step(&mut self, rest: &[u8], finishing: bool) -> Option<usize> {
        let tag = if self.inside { self.tags.close } else { self.tags.open };
        if !rest.starts_with(tag.as_bytes()) {
            let may_become = rest.len() < tag.len() && tag.as_bytes().starts_with(rest);
            return (!may_become || finishing).then_some(1);
        }
        if !self.inside || self.tags.ends(rest, finishing)? {
            self.inside = !self.inside;
            return Some(tag.len());
        }
        Some(1)
    }
}

/// Literals that begin and end with the same mark, and hold no mark.
#[derive(Debug)]
pub struct MarkQuotes {
    mark: &'static str,
    inside: bool,
}

impl MarkQuotes {
    /// Starts outside literals.
    pub fn new(mark: &'static str) -> Self {
        Self { mark, inside: false }
    }

    fn step(&mut self, rest: &[u8], finishing: bool) -> Option<usize> {
        if rest.starts_with(self.mark.as_bytes()) {
            self.inside = !self.inside;
            return Some(self.mark.len());
        }
        let may_become = rest.len() < self.mark.len() && self.mark.as_bytes().starts_with(rest);
        (!may_become || finishing).then_some(1)
    }
}

/// Follows JSON's string literals.
#[derive(Debug, Default)]
pub struct JsonQuotes {
    inside: bool,
    escaped: bool,
    /// A literal holds a line break.
    broken: bool,
}

impl JsonQuotes {
    pub(super) fn inside(&self) -> bool {
        self.inside
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    pub(super) fn step(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.inside => self.escaped = true,
            b'"' => self.inside = !self.inside,
            b'\n' if self.inside => self.broken = true,
            _ => {}
        }
    }
}

/// Follows Python's string literals and comments.
#[derive(Debug, Default)]
pub struct PythonQuotes {
    state: Python,
    escaped: bool,
    /// Whether a literal of one quote goes on over the end of a line.
    over_lines: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Python {
    #[default]
    Code,
    Comment,
    /// A literal of one quote, which may end with the line at the latest.
    Single(u8),
    /// A literal of three quotes.
    Triple(u8),
}

impl PythonQuotes {
    /// Returns literals as templates write them that put quotes around any text: line breaks included.
    pub fn over_lines() -> Self {
        Self { over_lines: true, ..Self::default() }
    }

    /// Returns whether the text here lies in a literal of one quote.
    pub(super) fn in_single(&self) -> bool {
        matches!(self.state, Python::Single(_))
    }

    pub(super) fn hide(&self, byte: u8) -> bool {
        match self.state {
            Python::Code | Python::Comment => false,
            Python::Single(_) => byte != b'\n' || self.escaped || self.over_lines,
            Python::Triple(_) => true,
        }
    }

    pub(super) fn step(&mut self, rest: &[u8], finishing: bool) -> Option<usize> {
        let byte = rest[0];
        if self.escaped {
            self.escaped = false;
            return Some(1);
        }
        let is_quote = matches!(byte, b'"' | b'\'');
        // The length of the sequence of equal quotes, of at most three, as far as it has arrived.
        let same = rest.iter().take(3).take_while(|other| **other == byte).count();
        let may_grow = same == rest.len() && same < 3 && !finishing;
        match self.state {
            Python::Code if is_quote && may_grow => return None,
            Python::Code if is_quote && same == 3 => {
                self.state = Python::Triple(byte);
                return Some(3);
            }
            Python::Code if is_quote => self.state = Python::Single(byte),
            Python::Code if byte == b'#' => self.state = Python::Comment,
            Python::Comment if byte == b'\n' => self.state = Python::Code,
            Python::Single(_) if byte == b'\n' && !self.over_lines => self.state = Python::Code,
            Python::Single(_) | Python::Triple(_) if byte == b'\\' => self.escaped = true,
            Python::Single(quote) if byte == quote => self.state = Python::Code,
            Python::Triple(quote) if byte == quote && may_grow => return None,
            Python::Triple(quote) if byte == quote && same == 3 => {
                self.state = Python::Code;
                return Some(3);
            }
            Python::Code | Python::Comment | Python::Single(_) | Python::Triple(_) => {}
        }
        Some(1)
    }
}
