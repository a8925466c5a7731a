//! Errors of model folders: one line with the place, the value and a hint.

use std::path::PathBuf;

/// Says why a model folder can't be used, or a request can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The folder or a file in it can't be read.
    #[error(
        "{path}: {source}\n  hint: a model folder holds config.json and model.safetensors (or an index of shards)"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file can't be written.
    #[error("{path}: cannot write: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// `config.json` describes no network.
    #[error("{path}: {message}")]
    Config {
        /// The file.
        path: PathBuf,
        /// The fault, with the value.
        message: String,
    },
    /// The weights don't fit the configuration, or the file is damaged.
    #[error("{path}: {message}")]
    Weights {
        /// The file.
        path: PathBuf,
        /// The fault, with the tensor's name.
        message: String,
    },
}
