//! Writes weights as f32 to one safetensors file, which appears under its name when it is complete.

use std::borrow::Cow;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use safetensors::{Dtype, View};

use crate::error::ModelError;
use crate::io::shard::damaged;
use crate::parameters::Named;

/// A parameter whose bytes are made when they are written.
struct Stored<'a>(&'a Named);

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.0.values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into()
    }

    fn data_len(&self) -> usize {
        self.0.values.len() * size_of::<f32>()
    }
}

/// Writes parameters as f32. The file appears under its name when it is complete.
pub(crate) fn write(path: &Path, parameters: &[Named]) -> Result<(), ModelError> {
    let views = parameters.iter().map(|parameter| (parameter.name.as_str(), Stored(parameter)));
    // `transformers` refuses files without this note.
    let note = [("format".to_string(), "pt".to_string())].into();
    let file = safetensors::serialize(views, Some(note)).map_err(|e| damaged(path, e.to_string()))?;
    write_whole(path, &file)
}

/// Writes bytes to a temporary name, flushes them to disk, and renames the file.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    let aside = path.with_extension("partial");
    let write = || {
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&aside, path)
    };
    write().map_err(|source| ModelError::Write { path: path.into(), source })
}
