//! One JSON array of records, read record by record.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

use crate::error::DataError;
use crate::limits::{ROW, too_long};
use crate::lines::{failed, text};
use crate::row::{Row, reason};

/// Iterates over the records of an array.
pub(crate) struct Array<R> {
    text: R,
    /// The line of the next byte, from 1.
    line: usize,
    /// The line of the last byte that isn't white space.
    said: usize,
    state: State,
    path: PathBuf,
    packed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Before,
    /// A record or the end is next.
    Record,
    /// A comma or the end is next.
    Comma,
    Done,
}

impl<R: BufRead> Array<R> {
    pub(crate) fn new(path: &Path, text: R, packed: bool) -> Self {
        Self { text, line: 1, said: 1, state: State::Before, path: path.into(), packed }
    }

    fn wrong<T>(&self, line: usize, message: impl Into<String>) -> Result<T, DataError> {
        Err(DataError::line(&self.path, line, message))
    }

    /// Returns the next byte and leaves it there; none at the end of the text.
    fn peek(&mut self) -> Result<Option<u8>, DataError> {
        match self.text.fill_buf() {
            Ok(bytes) => Ok(bytes.first().copied()),
            Err(error) => Err(failed(&self.path, self.packed, self.line, error)),
        }
    }

    fn skip(&mut self, byte: u8) {
        self.text.consume(1);
        if byte == b'\n' {
            self.line += 1;
        } else if !byte.is_ascii_whitespace() {
            self.said = self.line;
        }
    }

    /// Returns the next byte that isn't white space, and leaves it there.
    fn token(&mut self) -> Result<Option<u8>, DataError> {
        while let Some(byte) = self.peek()? {
            // The mark of UTF-8 stands at the start only.
            let mark = self.state == State::Before && b"\xef\xbb\xbf".contains(&byte);
            if !byte.is_ascii_whitespace() && !mark {
                return Ok(Some(byte));
            }
            self.skip(byte);
        }
        Ok(None)
    }

    /// Returns the bytes of a record: up to its last bracket, or up to a comma or the end of the array.
    fn record(&mut self) -> Result<Vec<u8>, DataError> {
        let (mut record, mut depth) = (Vec::new(), 0_usize);
        let (mut quoted, mut escaped) = (false, false);
        while let Some(byte) = self.peek()? {
            if depth == 0 && !quoted && matches!(byte, b',' | b']' | b'}') {
                break;
            }
            if record.len() == ROW {
                return self.wrong(self.line, too_long());
            }
            record.push(byte);
            self.skip(byte);
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ if quoted => {}
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(record);
                    }
                }
                _ => {}
            }
        }
        Ok(record)
    }

    fn step(&mut self) -> Result<Option<Row>, DataError> {
        loop {
            let token = self.token()?;
            match (self.state, token) {
                (State::Before, Some(b'[')) | (State::Comma, Some(b',')) => self.state = State::Record,
                (State::Record | State::Comma, Some(b']')) => self.state = State::Done,
                (State::Record, Some(b',' | b'}')) => {
                    return self.wrong(self.line, "expected a record; hint: one JSON object per place");
                }
                (State::Record, Some(_)) => {
                    let line = self.line;
                    let bytes = self.record()?;
                    let text = text(&self.path, line, bytes)?;
                    self.state = State::Comma;
                    if let Err(error) = serde_json::from_str::<IgnoredAny>(&text) {
                        let line = line + error.line().max(1) - 1;
                        return self.wrong(line, reason(&error));
                    }
                    return Ok(Some(Row { line, text: text.trim_end().into(), made: false, unread: None }));
                }
                (State::Comma, Some(_)) => {
                    return self.wrong(self.line, "expected `,` or `]` after a record");
                }
                (State::Done, None) => return Ok(None),
                (State::Done, Some(_)) => {
                    let message = "more text after the array; hint: one array, or one object per line";
                    return self.wrong(self.line, message);
                }
                (State::Before, Some(_)) => return self.wrong(self.line, "expected `[`"),
                (_, None) => return self.wrong(self.said, "the file ends inside the array"),
            }
            if let Some(byte) = token {
                self.skip(byte);
            }
        }
    }
}

impl<R: BufRead> Iterator for Array<R> {
    type Item = Result<Row, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}
