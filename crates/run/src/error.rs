//! Says in one line with place and hint what can't be written or read.

use std::io;
use std::path::PathBuf;

/// Refuses a directory that can't hold a run, or can't be written.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// A folder to be written as a whole is there already.
    #[error(
        "{}: exists already, nothing is written over\n  hint: name another folder, or remove this one",
        path.display()
    )]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// Something else is there.
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
    /// A file that the run can't go on without.
    #[error("{}: {message}", path.display())]
    Broken {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, and a hint.
        message: String,
    },
    /// The system's refusal.
    #[error("{}: cannot write: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Names a record that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
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
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A run that has made no step.
    #[error(
        "{}: there are no rollouts to replay\n  hint: name the directory of a run that has made a step",
        path.display()
    )]
    NoRollouts {
        /// The file of the first step's rollouts.
        path: PathBuf,
    },
}
