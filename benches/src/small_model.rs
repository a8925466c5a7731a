//! Folders of Llamas with random weights, for benches that start other programs.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use turnwise_benches::shapes::shape;
use turnwise_model::family::Family;
use turnwise_model::{Transformer, save};
use turnwise_trainer::backend;

#[derive(Args)]
pub(crate) struct Save {
    /// The size
    #[arg(value_parser = ["tiny", "8.4M", "135M"])]
    size: String,
    /// The folder; one that exists is left as it is
    folder: PathBuf,
}

impl Save {
    pub(crate) fn run(self) -> Result<()> {
        random_llama(&self.size, &self.folder)
    }
}

/// Makes a folder with random weights and the tokenizer of models/tiny, if there is none yet.
fn random_llama(size: &str, folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let config = shape(size).expect("a size of the table");
    let model = Transformer::random(&config, 0, &backend::device(None)?);
    let family = Family::named("llama").map_err(anyhow::Error::msg)?;
    Ok(save(&model, family, Some(Path::new("models/tiny")), folder)?)
}

/// Makes a folder of the model of 8.4 million parameters, if there is none yet.
pub(crate) fn small_model(scratch: &Path) -> Result<PathBuf> {
    let folder = scratch.join("8.4M");
    random_llama("8.4M", &folder)?;
    Ok(folder)
}
