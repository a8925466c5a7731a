//! Reads settings of a model folder: its tokenizer, and the tokens that end a text.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use serde_json::Value;
use tokenizers::Tokenizer;
use turnwise_json::with_tagged_floats;
use turnwise_rollout::chat::load_tokenizer;

use crate::input;

/// Loads the tokenizer of a folder.
pub(crate) fn tokenizer(folder: &Path) -> Result<Tokenizer> {
    let path = folder.join("tokenizer.json");
    if !folder.is_dir() {
        bail!("{}: there is no such folder", folder.display());
    }
    if !path.is_file() {
        bail!(
            "{}: there is no tokenizer, and text is read or written\n  \
             hint: a Hugging Face folder has one; `turnwise generate` and `logprobs` take --tokens instead of text",
            path.display()
        );
    }
    Ok(load_tokenizer(&path)?)
}

/// Returns the tokens that end a text: `eos_token_id` of `generation_config.json`, or else of `config.json`;
/// one or several.
pub(crate) fn end_tokens(folder: &Path) -> Result<Vec<u32>> {
    let files: [PathBuf; 2] = ["generation_config.json", "config.json"].map(|name| folder.join(name));
    for path in files.iter().filter(|path| path.is_file()) {
        let text = input::file(path)?;
        let text = String::from_utf8_lossy(&with_tagged_floats(text.as_bytes())).into_owned();
        let json: Value = input::json(&path.display().to_string(), &text)?;
        let id = |value: &Value| {
            let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
            id.ok_or_else(|| anyhow!("{}: eos_token_id = {value} is not a token id", path.display()))
        };
        match &json["eos_token_id"] {
            Value::Null => {}
            Value::Array(ids) => return ids.iter().map(id).collect(),
            one => return Ok(vec![id(one)?]),
        }
    }
    Ok(Vec::new())
}

/// Fails if the list is empty, or holds a token beyond the vocabulary.
pub(crate) fn check_tokens(tokens: &[u32], vocab_size: usize) -> Result<()> {
    if tokens.is_empty() {
        bail!("the prompt has no token\n  hint: a model continues at least one token");
    }
    match tokens.iter().position(|&token| token as usize >= vocab_size) {
        Some(at) => {
            bail!("token {} at index {at} is not in the vocabulary: ids are below {vocab_size}", tokens[at])
        }
        None => Ok(()),
    }
}
