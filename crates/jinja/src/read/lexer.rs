//! Splits a template's source into tokens. Blocks remove the line break after them and the white space
//! before them (`trim_blocks`, `lstrip_blocks`), unless `-` or `+` at a tag's edge says otherwise.

use crate::budget::{Outcome, fail};

/// Holds one token of a template.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Data(String),
    PrintBegin,
    PrintEnd,
    BlockBegin,
    BlockEnd,
    Name(String),
    Text(String),
    Int(i128),
    Float(f64),
    Op(&'static str),
    End,
}

/// Operators, longest first.
const OPERATORS: [&str; 26] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<",
    "=", ".", ":", "|", ",", ";",
];

/// Returns whether a character is white space in Python's `str.isspace`.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

struct Lexer<'s> {
    rest: &'s str,
    line: usize,
    /// Whether the text before the rest ended a line.
    line_starts: bool,
    tokens: Vec<(Token, usize)>,
}

/// Returns the tokens of a source and their lines; the last one is [`Token::End`]. A failure comes with its
/// line.
pub(crate) fn tokens(source: &str) -> Result<Vec<(Token, usize)>, (String, usize)> {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let rest = source.strip_suffix('\n').unwrap_or(&source);
    let mut lexer = Lexer { rest, line: 1, line_starts: true, tokens: Vec::new() };
    lexer.all().map_err(|failure| (failure.message, lexer.line))?;
    let line = lexer.line;
    lexer.tokens.push((Token::End, line));
    Ok(lexer.tokens)
}

impl<'s> Lexer<'s> {
    fn take(&mut self, bytes: usize) -> &'s str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.line_starts = taken.ends_with('\n');
        self.rest = rest;
        taken
    }

    fn push(&mut self, token: Token) {
        self.tokens.push((token, self.line));
    }

    /// Reads text up to a tag, without the white space that the tag removes.
    fn data(&mut self, bytes: usize, sign: Option<char>, strips: bool) {
        let (line_starts, line) = (self.line_starts, self.line);
        let text = self.take(bytes);
        let kept = match sign {
            Some('-') => text.trim_end_matches(is_space),
            None if strips => {
                let start = text.rfind('\n').map_or(0, |at| at + 1);
                let blank = text[start..].chars().all(is_space);
                if (start > 0 || line_starts) && blank { &text[..start] } else { text }
            }
            _ => text,
        };
        if !kept.is_empty() {
            self.tokens.push((Token::Data(kept.into()), line));
        }
    }

    /// Reads the end of a tag, and the white space that it removes.
    fn end(&mut self, closing: &str, trims: bool) -> bool {
        if self.rest.strip_prefix('-').is_some_and(|rest| rest.starts_with(closing)) {
            self.take(1 + closing.len());
            self.take(self.rest.len() - self.rest.trim_start_matches(is_space).len());
            return true;
        }
        let plus = usize::from(trims && self.rest.starts_with('+'));
        if !self.rest[plus..].starts_with(closing) {
            return false;
        }
        self.take(plus + closing.len());
        if trims && plus == 0 && self.rest.starts_with('\n') {
            self.take(1);
        }
        true
    }

    fn all(&mut self) -> Outcome<()> {
        while !self.rest.is_empty() {
            let Some((at, tag)) = next_tag(self.rest) else {
                self.data(self.rest.len(), Some('+'), false);
                break;
            };
            let sign = self.rest[at + 2..].chars().next().filter(|c| matches!(c, '-' | '+'));
            self.data(at, sign, tag != "{{");
            self.take(2 + usize::from(sign.is_some()));
            match tag {
                "{#" => self.comment()?,
                "{{" => {
                    self.push(Token::PrintBegin);
                    self.inside("}}", false)?;
                    self.push(Token::PrintEnd);
                }
                _ if self.raw()? => {}
                _ => {
                    self.push(Token::BlockBegin);
                    self.inside("%}", true)?;
                    self.push(Token::BlockEnd);
                }
            }
        }
        Ok(())
    }

    fn comment(&mut self) -> Outcome<()> {
        let Some(end) = self.rest.find("#}") else { return fail("a comment doesn't end") };
        let sign = self.rest[..end].ends_with(['-', '+']);
        self.take(end - usize::from(sign));
        self.end("#}", true);
        Ok(())
    }

    /// Reads a raw block, if there is one.
    fn raw(&mut self) -> Outcome<bool> {
        let inner = self.rest.trim_start_matches(is_space);
        let Some(behind) = inner.strip_prefix("raw") else { return Ok(false) };
        let behind = behind.trim_start_matches(is_space);
        if !behind.starts_with("%}") && !behind.starts_with("-%}") {
            return Ok(false);
        }
        self.take(self.rest.len() - behind.len());
        self.end("%}", false);
        let mut from = 0;
        while let Some(at) = self.rest[from..].find("{%").map(|at| at + from) {
            let tag = &self.rest[at + 2..];
            let sign = tag.chars().next().filter(|c| matches!(c, '-' | '+'));
            let name = tag[usize::from(sign.is_some())..].trim_start_matches(is_space);
            let end = name.strip_prefix("endraw").map(|end| end.trim_start_matches(is_space));
            if let Some(end) =
                end.filter(|end| ["%}", "-%}", "+%}"].iter().any(|close| end.starts_with(close)))
            {
                let tag_length = self.rest.len() - at - end.len();
                self.data(at, sign, true);
                self.take(tag_length);
                self.end("%}", true);
                return Ok(true);
            }
            from = at + 2;
        }
        if self.rest.is_empty() { Ok(true) } else { fail("a raw block doesn't end") }
    }

    /// Reads the tokens of one tag, and its end.
    fn inside(&mut self, closing: &str, trims: bool) -> Outcome<()> {
        let mut open = Vec::new();
        let mut after_dot = false;
        loop {
            if open.is_empty() && self.end(closing, trims) {
                return Ok(());
            }
            let Some(c) = self.rest.chars().next() else {
                return fail(format!("a tag doesn't end; {closing} is missing"));
            };
            let dot = after_dot;
            after_dot = false;
            if is_space(c) {
                self.take(c.len_utf8());
            } else if c.is_ascii_digit() {
                self.number(dot)?;
            } else if c.is_alphabetic() || c == '_' {
                let length = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                let name = self.rest[..length.unwrap_or(self.rest.len())].to_string();
                self.push(Token::Name(name.clone()));
                self.take(name.len());
            } else if c == '"' || c == '\'' {
                self.text(c)?;
            } else {
                let operator = OPERATORS.into_iter().find(|operator| self.rest.starts_with(operator));
                let Some(operator) = operator else { return fail(format!("unexpected character {c:?}")) };
                match operator {
                    "(" => open.push(")"),
                    "[" => open.push("]"),
                    "{" => open.push("}"),
                    ")" | "]" | "}" if open.pop() != Some(operator) => {
                        return fail(format!("unexpected '{operator}'"));
                    }
                    _ => {}
                }
                after_dot = operator == ".";
                self.push(Token::Op(operator));
                self.take(operator.len());
            }
        }
    }

    fn number(&mut self, after_dot: bool) -> Outcome<()> {
        let radix = match self.rest.as_bytes() {
            [b'0', b'x' | b'X', ..] => 16,
            [b'0', b'o' | b'O', ..] => 8,
            [b'0', b'b' | b'B', ..] => 2,
            _ => 10,
        };
        let digits = |text: &str, radix: u32| {
            text.find(|c: char| !c.is_digit(radix) && c != '_').unwrap_or(text.len())
        };
        let start = if radix == 10 { 0 } else { 2 };
        let mut length = start + digits(&self.rest[start..], radix);
        let mut float = false;
        if radix == 10 && !after_dot {
            let is_digit = |at: usize| self.rest.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
            if self.rest[length..].starts_with('.') && is_digit(length + 1) {
                length += 1 + digits(&self.rest[length + 1..], 10);
                float = true;
            }
            if self.rest[length..].starts_with(['e', 'E']) {
                let sign = usize::from(self.rest[length + 1..].starts_with(['+', '-']));
                if is_digit(length + 1 + sign) {
                    length += 1 + sign + digits(&self.rest[length + 1 + sign..], 10);
                    float = true;
                }
            }
        }
        let text = self.rest[..length].replace('_', "");
        let token = if float {
            text.parse().ok().map(Token::Float)
        } else {
            i128::from_str_radix(&text[start..], radix).ok().map(Token::Int)
        };
        let Some(token) = token else { return fail(format!("{text} is not a number")) };
        self.push(token);
        self.take(length);
        Ok(())
    }

    fn text(&mut self, quote: char) -> Outcome<()> {
        let bytes = self.rest.as_bytes();
        let mut end = 1;
        while bytes.get(end).is_some_and(|&byte| byte != quote as u8) {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        if end >= bytes.len() {
            return fail("a text in quotes doesn't end");
        }
        let text = unescaped(&self.rest[1..end])?;
        self.push(Token::Text(text));
        self.take(end + 1);
        Ok(())
    }
}

/// Returns the first tag of a text, and its index.
fn next_tag(text: &str) -> Option<(usize, &str)> {
    text.match_indices('{').find_map(|(at, _)| {
        let tag = text.get(at..at + 2)?;
        matches!(tag, "{%" | "{{" | "{#").then_some((at, tag))
    })
}

/// Returns a literal's text, with Python's escapes.
fn unescaped(text: &str) -> Outcome<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = rest[at + 1..].chars().next().unwrap_or('\\');
        rest = &rest[at + 1 + escape.len_utf8()..];
        let mut code = |digits: usize| {
            let number = rest.get(..digits).and_then(|digits| u32::from_str_radix(digits, 16).ok());
            rest = rest.get(digits..).unwrap_or_default();
            // UTF-8 can't hold half a surrogate pair.
            number.map(|number| char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER))
        };
        match escape {
            '\n' => {}
            '\\' | '\'' | '"' => out.push(escape),
            'a' => out.push('\u{7}'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\u{b}'),
            'x' | 'u' | 'U' => {
                let digits = match escape {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let Some(c) = code(digits) else { return fail(format!("truncated \\{escape} escape")) };
                out.push(c);
            }
            '0'..='7' => {
                let more = rest.bytes().take(2).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
                let octal = format!("{escape}{}", &rest[..more]);
                rest = &rest[more..];
                out.extend(u32::from_str_radix(&octal, 8).ok().and_then(char::from_u32));
            }
            'N' => return fail("characters can't be given by their names"),
            other => out.extend(['\\', other]),
        }
    }
    Ok(out + rest)
}
