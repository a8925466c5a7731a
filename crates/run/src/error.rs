//! Errors of reading and writing runs: one line with place and hint.

use std::io;
use std::path::PathBuf;

/// Says why a directory can't hold a run, or can't be written.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// The folder to write exists already.
    #[error(
        "{}: exists already, nothing is written over\n  hint: name another folder, or remove this one",
        path.display()
    )]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// The folder holds something else.
    #[error("{}: the folder is not empty and holds no run\n  hint: name another folder", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// Another process holds the lock.
    #[error(
        "{}: another process is using this run\n  hint: name another folder, or stop that process",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A file that the run needs is broken.
    #[error("{}: {message}", path.display())]
    Broken {
        /// The file or folder.
        path: PathBuf,
        /// The damage, and a hint.
        message: String,
    },
    /// The system refused to write.
    #[error("{}: cannot write: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Says why a record can't be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The system refused to read.
    #[error("{}: cannot read: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file doesn't hold the records of its name.
    #[error("{}:{line}: {message}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The fault.
        message: String,
    },
    /// The run has made no step.
    #[error(
        "{}: there are no rollouts to replay\n  hint: name the directory of a run that has made a step",
        path.display()
    )]
    NoRollouts {
        /// The file of the first step's rollouts.
        path: PathBuf,
    },
}
