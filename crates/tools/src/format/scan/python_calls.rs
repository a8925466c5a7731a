//! Scans lists of calls in Python's syntax.

use super::super::quotes::PythonQuotes;
use super::{Advance, blanks, starts_line};

/// Ends with the bracket that closes `[name(…), …]`.
#[derive(Debug)]
pub struct PythonCalls {
    depth: u32,
    /// Whether a name and its parenthesis were seen. Without them it's another list.
    named: bool,
    quotes: PythonQuotes,
    previous: u8,
    raw: bool,
}

impl PythonCalls {
    /// Starts after the opening bracket.
    pub fn new(raw: bool) -> Self {
        Self { depth: 1, named: false, quotes: PythonQuotes::default(), previous: b'[', raw }
    }

    pub(super) fn hides(&self) -> bool {
        self.named && self.quotes.hide(b'<')
    }

    pub(super) fn advance(&mut self, text: &[u8], at: &mut usize, finishing: bool) -> Advance {
        while *at < text.len() {
            let byte = text[*at];
            if !self.named {
                let after_name = self.previous.is_ascii_alphanumeric() || self.previous == b'_';
                match byte {
                    b'(' if after_name => self.named = true,
                    _ if byte.is_ascii_whitespace() && self.previous == b'[' => {}
                    _ if in_name(byte) && !(self.previous == b'[' && matches!(byte, b'0'..=b'9' | b'-')) => {
                        self.previous = byte;
                    }
                    _ => return Advance::NotACall,
                }
            } else if self.raw && byte == b'[' && starts_line(text, *at) && opens(&text[*at + 1..]) {
                return Advance::Cut(*at);
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

fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// Returns whether a name and its parenthesis begin here.
fn opens(text: &[u8]) -> bool {
    let text = &text[blanks(text)..];
    let name = text.iter().take_while(|byte| in_name(**byte)).count();
    name > 0 && !text[0].is_ascii_digit() && text.get(name) == Some(&b'(')
}
