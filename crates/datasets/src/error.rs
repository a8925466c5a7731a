//! Errors of a file: place, value, hint.

use std::io;
use std::path::{Path, PathBuf};

const READ_HINT: &str =
    "data isn't shipped with the project: put the file there, or change the path in the run file";

/// Says why the rows of a file can't be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The system can't read the file.
    #[error("{path}: {source}\n  hint: {hint}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
        /// The hint.
        hint: &'static str,
    },
    /// The whole file is broken, or of a kind that isn't read.
    #[error("{path}: {message}")]
    File {
        /// The file.
        path: PathBuf,
        /// The mistake, with a hint.
        message: String,
    },
    /// A row is broken.
    #[error("{path}:{line}: {message}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, or the number of the row in a table; from 1.
        line: usize,
        /// The mistake, with the value and a hint.
        message: String,
    },
}

impl DataError {
    /// Returns an error of one line.
    pub fn line(path: &Path, line: usize, message: impl Into<String>) -> Self {
        Self::Line { path: path.into(), line, message: message.into() }
    }

    pub(crate) fn file(path: &Path, message: impl Into<String>) -> Self {
        Self::File { path: path.into(), message: message.into() }
    }

    pub(crate) fn unreadable(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.into(), source, hint: READ_HINT }
    }
}
