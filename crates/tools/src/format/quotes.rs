//! Decides whether a byte lies inside a string literal: of JSON, of Python, or of nothing.

/// String literals that a scanner follows byte by byte.
#[derive(Debug)]
pub enum Quotes {
    /// No literals.
    None,
    /// Literals of JSON.
    Json(JsonQuotes),
    /// Literals and comments of Python.
    Python(PythonQuotes),
    /// Values of `<parameter=…>`.
    Parameters(ParameterQuotes),
}

impl Quotes {
    /// Returns whether a marker that starts with `byte` here is only text.
    pub(super) fn hide(&self, byte: u8) -> bool {
        match self {
            Quotes::None => false,
            Quotes::Json(quotes) => quotes.inside(),
            Quotes::Python(quotes) => quotes.hide(byte),
            Quotes::Parameters(quotes) => quotes.inside,
        }
    }

    /// Returns whether a tag that is hidden here is only text for certain. It isn't in an XML-like value,
    /// which ends at a tag that may be another call's.
    pub(super) fn are_certain(&self) -> bool {
        !matches!(self, Quotes::Parameters(_))
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
        }
    }

    /// Returns whether a literal continued where it can't.
    pub(super) fn are_broken(&self) -> bool {
        matches!(self, Quotes::Json(quotes) if quotes.broken)
    }
}

/// Values of an XML-like call. A value ends at the `</parameter>` after which the call continues.
#[derive(Debug, Default)]
pub struct ParameterQuotes {
    inside: bool,
}

impl ParameterQuotes {
    pub(super) const OPEN: &str = "<parameter=";
    pub(super) const CLOSE: &str = "</parameter>";
    const NEXT: [&str; 2] = [Self::OPEN, "</function>"];

    /// Returns whether a value ends at the `</parameter>` that the text begins with, or none if later bytes
    /// decide.
    pub(super) fn ends(text: &[u8], finishing: bool) -> Option<bool> {
        let rest = text[Self::CLOSE.len()..].trim_ascii_start();
        let undecided =
            Self::NEXT.iter().any(|next| next.len() > rest.len() && next.as_bytes().starts_with(rest));
        let ends = Self::NEXT.iter().any(|next| rest.starts_with(next.as_bytes()));
        if undecided && !finishing { None } else { Some(ends) }
    }

    fn step(&mut self, rest: &[u8], finishing: bool) -> Option<usize> {
        let tag = if self.inside { Self::CLOSE } else { Self::OPEN };
        if !rest.starts_with(tag.as_bytes()) {
            let may_become = rest.len() < tag.len() && tag.as_bytes().starts_with(rest);
            return (!may_become || finishing).then_some(1);
        }
        if !self.inside || Self::ends(rest, finishing)? {
            self.inside = !self.inside;
            return Some(tag.len());
        }
        Some(1)
    }
}

/// JSON's string literals.
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

/// Python's string literals and comments.
#[derive(Debug, Default)]
pub struct PythonQuotes {
    state: Python,
    escaped: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Python {
    #[default]
    Code,
    Comment,
    /// A literal of one quote, which ends with the line at the latest.
    Single(u8),
    /// A literal of three quotes.
    Triple(u8),
}

impl PythonQuotes {
    pub(super) fn hide(&self, byte: u8) -> bool {
        match self.state {
            Python::Code | Python::Comment => false,
            Python::Single(_) => byte != b'\n' || self.escaped,
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
            Python::Comment | Python::Single(_) if byte == b'\n' => self.state = Python::Code,
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
