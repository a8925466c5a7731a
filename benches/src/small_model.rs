//! The folder of the model of 8.4 million parameters, for benches that start the binary.

use std::path::{Path, PathBuf};

use anyhow::Result;
use turnwise_benches::shapes::shape;
use turnwise_model::family::Family;
use turnwise_model::{Transformer, save};
use turnwise_trainer::backend;

/// Makes a folder with random weights and the tokenizer of models/tiny, if there is none yet.
pub(crate) fn small_model(scratch: &Path) -> Result<PathBuf> {
    let folder = scratch.join("8.4M");
    if !folder.is_dir() {
        let config = shape("8.4M").expect("a size of the table");
        let model = Transformer::random(&config, 0, &backend::device(None)?);
        let family = Family::named("llama").map_err(anyhow::Error::msg)?;
        save(&model, family, Some(Path::new("models/tiny")), &folder)?;
    }
    Ok(folder)
}
