//! The tokenizer and the shape of what a cold start trains, before any weights.

use std::path::Path;

use tokenizers::Tokenizer;
use turnwise_model::{ModelConfig, load_config};
use turnwise_rollout::opening;

use crate::cold_start::scratch;
use crate::cold_start::sft::transcript;
use crate::config::{SftConfig, StartConfig};
use crate::error::TrainError;
use crate::play::setup::tokenizer;

/// Holds a model without its weights.
pub(crate) struct Beginning<'a> {
    /// The folder that it is read from; none for a new model.
    pub(crate) folder: Option<&'a Path>,
    /// The folder's tokenizer, or one made from the demonstrations.
    pub(crate) tokenizer: Tokenizer,
    /// The shape of the model.
    pub(crate) model: ModelConfig,
}

impl<'a> Beginning<'a> {
    /// Reads the folder's files, or makes a tokenizer for a new model: from `texts`, or from demonstrations
    /// of the environment.
    pub(crate) fn of(config: &'a SftConfig, texts: Option<Vec<String>>) -> Result<Self, TrainError> {
        match &config.model {
            StartConfig::Folder(folder) => {
                let (model, tokenizer) = (load_config(folder)?, tokenizer(folder)?);
                Ok(Self { folder: Some(folder), tokenizer, model })
            }
            StartConfig::Scratch(shape) => {
                let texts = match texts {
                    Some(texts) => texts,
                    None => texts_of_env(config)?,
                };
                let tokenizer = scratch::tokenizer(&texts, shape.vocab_size).map_err(TrainError::Input)?;
                let model = scratch::model_config(shape, &tokenizer).map_err(TrainError::Input)?;
                Ok(Self { folder: None, tokenizer, model })
            }
        }
    }

    /// Returns the most tokens of a sequence.
    pub(crate) fn context(&self) -> usize {
        if self.folder.is_some() { self.model.context() } else { self.model.max_position }
    }
}

/// Demonstrations that a new model's tokenizer is made from.
const TOKENIZER_TEXTS: u64 = 2000;

fn texts_of_env(config: &SftConfig) -> Result<Vec<String>, TrainError> {
    let Some(offer) = config.offer() else { return Ok(Vec::new()) };
    let (env, format) = (offer.open(&config.rollout.executor)?, config.rollout.call_format_without_folder());
    Ok((0..TOKENIZER_TEXTS)
        .filter_map(|index| env.demonstration(index))
        .flat_map(|demonstration| {
            let opening = opening(&*env, &*format, config.rollout.describe_tools, &demonstration.task);
            transcript(&*format, &opening, &demonstration)
        })
        .collect())
}
