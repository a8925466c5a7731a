//! Text in gzip, up to a bound.

use std::io::{self, BufRead, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::error::DataError;
use crate::limits::{UNPACKED, too_much};

/// Tells whether a file begins as gzip.
pub(crate) fn is_one(start: &[u8]) -> bool {
    start.starts_with(b"\x1f\x8b")
}

/// Unpacks a text, and fails where it goes beyond the bound.
pub(crate) struct Unpacked<R> {
    from: MultiGzDecoder<R>,
    left: u64,
}

impl<R: BufRead> Unpacked<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from: MultiGzDecoder::new(from), left: UNPACKED }
    }
}

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.from.read(into)?;
        match self.left.checked_sub(bytes as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::new(io::ErrorKind::FileTooLarge, too_much())),
        }
        Ok(bytes)
    }
}

/// Returns the error of a file that can't be unpacked from a line on.
pub(crate) fn damaged(path: &Path, line: usize, error: &io::Error) -> DataError {
    if error.kind() == io::ErrorKind::FileTooLarge {
        return DataError::line(path, line, error.to_string());
    }
    let path_text = path.display();
    DataError::line(path, line, format!("gzip: {error}; hint: `gzip -t {path_text}` tests the file"))
}
