//! Scans fenced blocks of code, as in `CommonMark` and as models write them.

use super::super::quotes::PythonQuotes;
use super::Advance;

/// Ends with the closing fence of a block of Python, and skips blocks of other languages.
///
/// A closing fence stands at the start of a line, is at least as long as the opening one, and lies outside
/// string literals. A line that opens another block of Python means that the first was never closed.
#[derive(Debug)]
pub struct Fence {
    mark: u8,
    length: usize,
    /// Whether the fence stands at the start of a line. Elsewhere only Python counts, because three backticks
    /// may quote something.
    at_start: bool,
    state: State,
    quotes: Option<PythonQuotes>,
    /// End of the block if string literals are ignored.
    hidden: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Marks,
    Info,
    Python,
    Other,
}

/// Kinds of lines in a block.
enum Line {
    Undecided,
    Text,
    /// A closing fence, with its end in bytes.
    Closes(usize),
    /// An opening fence, with its start in bytes.
    Opens(usize),
}

/// Maximum of bytes that are read of the line after an opening fence.
const MAX_INFO: usize = 200;

/// Returns the number of backticks or tildes at the beginning of a text.
fn marks(text: &[u8], mark: u8) -> usize {
    text.iter().take_while(|byte| **byte == mark).count()
}

fn indent(text: &[u8]) -> usize {
    text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

/// Returns whether an opening fence announces Python, by any name that models use.
///
/// A minor version may follow a name with a 3, as in `python3.11`. Attributes may follow the name:
/// `python {.x}`, `python:main.py`, `python,ignore`, `python=1`. Any other word that begins with it is
/// another language.
fn is_python(info: &[u8]) -> bool {
    let info = info.trim_ascii_start();
    let info = info.strip_prefix(b"{").unwrap_or(info);
    let info = info.strip_prefix(b".").unwrap_or(info);
    let in_word = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let word = info.iter().take_while(in_word).count();
    let (name, mut rest) = info.split_at(word);
    if let (true, Some(version)) = (name.ends_with(b"3"), rest.strip_prefix(b".")) {
        let digits = version.iter().take_while(|byte| byte.is_ascii_digit()).count();
        rest = if digits > 0 { &version[digits..] } else { rest };
    }
    let ends = rest.first().is_none_or(|next| next.is_ascii_whitespace() || b"{}:,;=".contains(next));
    ends && PYTHON.iter().any(|python| name.eq_ignore_ascii_case(python.as_bytes()))
}

/// Names of Python after a fence. Gemini and Gemma write `tool_code`.
const PYTHON: [&str; 7] = ["python", "py", "python3", "py3", "ipython", "ipython3", "tool_code"];

/// Returns whether a line that begins with this byte may announce Python, or an output.
fn may_announce(first: u8) -> bool {
    let begins = |name: &str| name.as_bytes()[0].eq_ignore_ascii_case(&first);
    PYTHON.iter().any(|name| begins(name)) || matches!(first, b'{' | b'.' | b'o')
}

impl Fence {
    /// Starts at an opening fence of the character `mark`.
    pub fn new(mark: u8, at_start: bool, raw: bool) -> Self {
        let quotes = (!raw).then(PythonQuotes::default);
        Self { mark, length: 0, at_start, state: State::Marks, quotes, hidden: None }
    }

    pub(super) fn hides(&self) -> bool {
        self.state == State::Python && self.quotes.as_ref().is_some_and(|quotes| quotes.hide(b'<'))
    }

    pub(super) fn advance(&mut self, text: &[u8], at: &mut usize, finishing: bool) -> Advance {
        if self.state == State::Marks {
            self.length = marks(&text[*at..], self.mark);
            if *at + self.length == text.len() && !finishing {
                return Advance::More;
            }
            *at += self.length;
            self.state = State::Info;
        }
        if self.state == State::Info {
            let rest = &text[*at..];
            let Some(end) = rest.iter().take(MAX_INFO).position(|byte| *byte == b'\n') else {
                return if finishing || rest.len() >= MAX_INFO { Advance::NotACall } else { Advance::More };
            };
            let info = &rest[..end];
            self.state = match is_python(info) {
                // With backticks in its first line it's a quotation.
                _ if self.mark == b'`' && info.contains(&b'`') => return Advance::NotACall,
                true => State::Python,
                false if self.at_start => State::Other,
                false => return Advance::NotACall,
            };
            *at += end;
        }
        self.body(text, at, finishing)
    }

    fn body(&mut self, text: &[u8], at: &mut usize, finishing: bool) -> Advance {
        let is_python = self.state == State::Python;
        while *at < text.len() {
            let rest = &text[*at..];
            let hidden = is_python && self.quotes.as_ref().is_some_and(|quotes| quotes.hide(rest[0]));
            if rest[0] == b'\n' {
                match self.line(&rest[1..], finishing) {
                    Line::Undecided => return Advance::More,
                    Line::Text => {}
                    Line::Closes(length) if hidden => {
                        self.hidden.get_or_insert(*at + 1 + length);
                    }
                    Line::Opens(_) if hidden => {}
                    Line::Closes(length) if is_python => return Advance::End(*at + 1 + length),
                    Line::Opens(indent) if is_python => {
                        return self.give_up().unwrap_or(Advance::Cut(*at + 1 + indent));
                    }
                    Line::Closes(length) | Line::Opens(length) => {
                        *at += 1 + length;
                        return Advance::NotACall;
                    }
                }
            }
            let quotes = self.quotes.as_mut().filter(|_| is_python);
            let Some(step) = quotes.map_or(Some(1), |quotes| quotes.step(rest, finishing)) else {
                return Advance::More;
            };
            *at += step;
        }
        if finishing { self.give_up().unwrap_or(Advance::More) } else { Advance::More }
    }

    fn give_up(&self) -> Option<Advance> {
        self.hidden.map(|end| Advance::Abandoned { end, closed: true })
    }

    /// Returns the kind of a line in this block.
    fn line(&self, line: &[u8], finishing: bool) -> Line {
        let indent = indent(line);
        let end = indent + marks(&line[indent..], self.mark);
        let info = &line[end..];
        let whole = info.iter().take(MAX_INFO).position(|byte| *byte == b'\n');
        if end - indent < self.length {
            return if info.is_empty() && !finishing { Line::Undecided } else { Line::Text };
        }
        let word = &info[..whole.unwrap_or(info.len().min(MAX_INFO))];
        let Some(first) = word.trim_ascii_start().first() else {
            let is_over = whole.is_some() || finishing || info.len() >= MAX_INFO;
            return if is_over { Line::Closes(end) } else { Line::Undecided };
        };
        if may_announce(*first) && whole.is_none() && info.len() < MAX_INFO && !finishing {
            return Line::Undecided;
        }
        match self.state {
            _ if is_python(word) => Line::Opens(indent),
            // An info string stands directly after an opening fence. Prose may follow a closing one.
            State::Python if word.first().is_some_and(u8::is_ascii_alphanumeric) => Line::Text,
            State::Python => Line::Closes(end),
            _ if word.starts_with(b"output") => Line::Opens(indent),
            _ => Line::Text,
        }
    }
}

/// Holds a whole fenced block.
pub(in super::super) struct Block<'a> {
    body: &'a str,
    indent: usize,
}

impl<'a> Block<'a> {
    /// Removes the fences of a block. The closing one may be missing.
    pub(in super::super) fn new(text: &'a str) -> Option<Self> {
        let mark = *text.as_bytes().first().filter(|mark| matches!(mark, b'`' | b'~'))?;
        let length = marks(text.as_bytes(), mark);
        let (first, _) = text.split_once('\n')?;
        if length < 3 || !is_python(&first.as_bytes()[length..]) {
            return None;
        }
        // The line break after the opening line may be the one before the closing fence.
        let body = &text[first.len()..];
        let (before, last) = body.rsplit_once('\n').unwrap_or((body, ""));
        let spaces = indent(last.as_bytes());
        let is_fence = marks(&last.as_bytes()[spaces..], mark) >= length;
        let (body, indent) = if is_fence { (before, spaces) } else { (body, 0) };
        Some(Self { body, indent })
    }

    /// Returns the code without the indentation that it shares with its fences, as in a list.
    pub(in super::super) fn code(&self) -> String {
        let code = self.body.trim_start_matches(['\n', '\r']);
        let shared = self.indent.min(indent(code.as_bytes()));
        let dedented = |line: &'a str| &line[indent(line.as_bytes()).min(shared)..];
        let code: Vec<&str> = code.split('\n').map(dedented).collect();
        code.join("\n").trim_end_matches('\r').to_string()
    }
}
