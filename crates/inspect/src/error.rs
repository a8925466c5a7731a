//! What can't be read: one line with the place, and a hint.

use std::io;
use std::path::PathBuf;

/// A run directory that can't be read, or a page that can't be served.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The folder holds no run.
    #[error("{}: this is no run directory: there is no config.toml\n  hint: name a folder that `turnwise train --run` wrote", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// The system's refusal.
    #[error("{}: cannot read: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file that doesn't hold what its name says.
    #[error("{}:{line}: {message}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A port that can't be listened on.
    #[error("127.0.0.1:{port}: cannot listen: {source}\n  hint: leave --port out for a free one")]
    Port {
        /// The port.
        port: u16,
        /// The system's reason.
        source: io::Error,
    },
}

impl InspectError {
    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Read { path, source }
    }
}
