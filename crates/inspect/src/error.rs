//! Errors of reading runs and serving the page: one line with the place, and a hint.

use std::io;
use std::path::PathBuf;

use turnwise_run::RecordError;

/// Says why a run directory can't be read, or a page can't be served.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The folder holds no run.
    #[error("{}: this is no run directory: there is no config.toml\n  hint: name a folder that `turnwise train --run` wrote", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// A record of the run.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The port is taken or forbidden.
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
        move |source| RecordError::Read { path, source }.into()
    }
}
