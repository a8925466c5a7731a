//! JSON lines.

use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

use crate::error::DataError;
use crate::gzip;
use crate::limits::{ROW, too_long};
use crate::row::Row;

/// The mark that some programs write in front of a text in UTF-8. Files that were put together have one at
/// each seam.
pub(crate) const MARK: &str = "\u{feff}";

/// Iterates over the lines of a text that aren't blank.
pub(crate) struct Lines<R> {
    text: R,
    line: usize,
    path: PathBuf,
    packed: bool,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(path: &Path, text: R, packed: bool) -> Self {
        Self { text, line: 0, path: path.into(), packed }
    }

    /// Returns the next line without its end; none at the end of the text.
    fn bytes(&mut self) -> Result<Option<Vec<u8>>, DataError> {
        let mut line = Vec::new();
        self.line += 1;
        let read = self.text.by_ref().take(ROW as u64 + 1).read_until(b'\n', &mut line);
        read.map_err(|error| failed(&self.path, self.packed, self.line, error))?;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.is_empty() {
            return Ok(None);
        }
        if line.len() > ROW {
            return Err(DataError::line(&self.path, self.line, too_long()));
        }
        Ok(Some(line))
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<Row, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let text = match self.bytes() {
                Ok(line) => text(&self.path, self.line, line?),
                Err(error) => return Some(Err(error)),
            };
            match text {
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) => return Some(Ok(Row { line: self.line, text, made: false, unread: None })),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Returns the error of a file that can't be read from a line on.
pub(crate) fn failed(path: &Path, packed: bool, line: usize, error: io::Error) -> DataError {
    if packed { gzip::damaged(path, line, &error) } else { DataError::unreadable(path, error) }
}

/// Returns bytes as text, without a mark at their start.
pub(crate) fn text(path: &Path, line: usize, bytes: Vec<u8>) -> Result<String, DataError> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let (valid, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
        let shown = String::from_utf8_lossy(&bytes[..valid]).into_owned();
        let line = line + shown.matches('\n').count();
        let message = format!("not UTF-8 after {:?}; hint: save the file as UTF-8", ending(&shown));
        DataError::line(path, line, message)
    })?;
    Ok(match text.strip_prefix(MARK) {
        Some(rest) => rest.to_string(),
        None => text,
    })
}

/// Returns the last characters of a text.
fn ending(text: &str) -> &str {
    text.char_indices().rev().nth(19).map_or(text, |(at, _)| &text[at..])
}
