//! Opens files that others wrote: regular ones only, so that no pipe or device holds the process.

use std::fs::File;
use std::io::{Error, Read};
use std::path::Path;

use crate::error::ModelError;

/// Bytes of a file of settings: `config.json`, an index of shards.
pub(crate) const SETTINGS: u64 = 64 << 20;

/// Opens a file and returns its size. Links are followed, because caches of models are made of them.
pub(crate) fn open(path: &Path) -> Result<(File, u64), ModelError> {
    let unreadable = |source| ModelError::Read { path: path.into(), source };
    // Opening a pipe would wait for its other end.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(unreadable(Error::other("not a regular file")));
    }
    let file = File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    Ok((file, size))
}

/// Reads a whole file of at most `most` bytes.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, ModelError> {
    let (file, size) = open(path)?;
    if size > most {
        let message = format!("{size} bytes are more than such a file has (at most {most})");
        return Err(ModelError::Config { path: path.into(), message });
    }
    let mut bytes = Vec::with_capacity(size as usize);
    // The file may have grown since.
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(|source| ModelError::Read { path: path.into(), source })?;
    Ok(bytes)
}
