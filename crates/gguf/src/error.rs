//! Errors of a file: one line with the place and the value.

use std::path::PathBuf;

/// Says why a file can't be converted.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// The system's refusal to read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The system's refusal to write.
    #[error("{}: cannot write: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is damaged, or holds what this crate can't convert.
    #[error("{}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The fault, with the value.
        message: String,
    },
}
