//! Files of a model folder, with the errors of this crate. Links are followed, because model caches consist
//! of them.

use std::fs::File;
use std::path::Path;

pub(crate) use turnwise_files::SETTINGS;

use crate::error::ModelError;

/// Opens a regular file and returns its size in bytes.
pub(crate) fn open(path: &Path) -> Result<(File, u64), ModelError> {
    let opened = || {
        let file = turnwise_files::open(path)?;
        let size = file.metadata()?.len();
        Ok((file, size))
    };
    opened().map_err(|source| ModelError::Read { path: path.into(), source })
}

/// Reads a whole regular file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ModelError> {
    turnwise_files::read(path, limit).map_err(|source| ModelError::Read { path: path.into(), source })
}
