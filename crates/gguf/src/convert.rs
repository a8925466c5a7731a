//! Converts a file to a folder.

use std::path::Path;

use serde_json::{Map, Value as Json};

use crate::config::{config, ends};
use crate::error::GgufError;
use crate::file::GgufFile;
use crate::tokenizer::tokenizer;
use crate::weights::{Stored, write};

/// Summarises a conversion.
#[derive(Debug, Clone, PartialEq)]
pub struct Converted {
    /// `model_type` of the folder.
    pub family: String,
    /// Number of weights.
    pub weights: usize,
    /// Entries of the tokenizer.
    pub tokens: usize,
    /// Whether there is a chat template.
    pub template: bool,
}

/// Converts a GGUF file to a Hugging Face folder: `config.json`, `generation_config.json`,
/// `model.safetensors`, `tokenizer.json` and `tokenizer_config.json` with the chat template. The folder
/// exists.
pub fn convert(path: &Path, folder: &Path, stored: Stored) -> Result<Converted, GgufError> {
    let file = GgufFile::open(path)?;
    let broken = |message| file.broken(message);
    let (config, shape) = config(&file, stored.name()).map_err(broken)?;
    let made = tokenizer(&file.metadata).map_err(broken)?;
    if made.tokens > shape.vocabulary {
        let (tokens, rows) = (made.tokens, shape.vocabulary);
        return Err(file.broken(format!("{tokens} tokens, and an embedding of {rows} rows")));
    }
    let generation: Map<String, Json> = ends(&file).map_err(broken)?;
    let weights = write(&file, &shape, stored, &folder.join("model.safetensors"))?;
    let files = [
        ("config.json", config.clone()),
        ("generation_config.json", generation.into()),
        ("tokenizer.json", made.tokenizer),
        ("tokenizer_config.json", made.settings.clone()),
    ];
    for (name, json) in files {
        let path = folder.join(name);
        let text = serde_json::to_string_pretty(&json).expect("JSON of plain values") + "\n";
        std::fs::write(&path, text).map_err(|source| GgufError::Write { path, source })?;
    }
    Ok(Converted {
        family: config["model_type"].as_str().unwrap_or_default().into(),
        weights,
        tokens: made.tokens,
        template: made.settings.get("chat_template").is_some(),
    })
}
