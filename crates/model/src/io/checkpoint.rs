//! Hugging Face model folders, read and written: `config.json` and safetensors.

use std::path::Path;

use burn::tensor::Device;
use serde_json::{Map, Value};
use turnwise_json::with_tagged_floats;

use crate::build::build;
use crate::config::ModelConfig;
use crate::cpu::fused::in_host_memory;
use crate::error::ModelError;
use crate::family::{Family, text_config};
use crate::io::folder_files;
use crate::io::regular_file::{SETTINGS, read};
use crate::io::token_ids;
use crate::io::weight_files::{OUTPUT, WeightFiles};
use crate::io::written::{write, write_whole};
use crate::parameters::parameters;
use crate::transformer::Transformer;

/// Tensors of old checkpoints that hold constants, not weights.
const CONSTANTS: [&str; 1] = ["rotary_emb.inv_freq"];

/// Reads the description of a network from `config.json` of a folder.
///
/// # Errors
/// If the file can't be read, its family isn't known, or its keys describe no network of that family.
pub fn load_config(folder: &Path) -> Result<ModelConfig, ModelError> {
    let (path, json) = config_json(folder)?;
    let config = |message| ModelError::Config { path: path.clone(), message };
    read_config(&json).map_err(config)
}

/// Loads a model folder: `config.json` and `model.safetensors`, or an index of shards.
///
/// Weights are f32, bf16 or f16 on disk and f32 in memory.
///
/// # Errors
/// If a tensor of the file has no place in the model, a parameter has no tensor, or an id of the folder's
/// tokenizer has no row in the embedding.
pub fn load(folder: &Path, device: &Device) -> Result<Transformer, ModelError> {
    let (path, json) = config_json(folder)?;
    let config = read_config(&json).map_err(|message| ModelError::Config { path, message })?;
    token_ids::check(folder, config.vocab_size)?;
    let mut files = WeightFiles::open(folder, json.get("transformers_weights").and_then(Value::as_str))?;
    files.take_text_model();
    files.check_memory(in_host_memory(device))?;
    let mut ignored = CONSTANTS.to_vec();
    if config.tied_embeddings {
        // A tied model may store the matrix twice, or only under the output's name.
        files.tie()?;
        ignored.push(OUTPUT);
    }
    let model = build(&config, &mut files, device)?;
    files.finish(&ignored)?;
    Ok(model)
}

/// Names the parts of a folder that are no part of its text model, and are left out: `vision_tower (437
/// tensors)`.
///
/// # Errors
/// If `config.json` or the head of a file of weights can't be read.
pub fn left_out(folder: &Path) -> Result<Vec<String>, ModelError> {
    let (_, json) = config_json(folder)?;
    let mut files = WeightFiles::open(folder, json.get("transformers_weights").and_then(Value::as_str))?;
    files.take_text_model();
    Ok(files.left_out())
}

/// Saves a model, with its adapter merged, as a folder that `transformers` loads.
///
/// Tokenizer, chat template, generation settings and licences of `like` are copied. Its `config.json` keeps
/// the keys that this crate doesn't know. Weights are written in f32 as `model.safetensors`.
///
/// # Errors
/// If a file of `like` can't be read, or one of `folder` can't be written.
pub fn save(
    model: &Transformer,
    family: Family,
    like: Option<&Path>,
    folder: &Path,
) -> Result<(), ModelError> {
    std::fs::create_dir_all(folder).map_err(|source| ModelError::Write { path: folder.into(), source })?;
    let mut before = Map::new();
    if let Some(like) = like {
        before = config_json(like)?.1;
        folder_files::copy(like, folder)?;
    }
    let config =
        serde_json::to_vec_pretty(&family.write(model.config(), &before)).expect("JSON of plain values");
    write_whole(&folder.join("config.json"), &config)?;
    write(&folder.join("model.safetensors"), &parameters(&model.clone().merged()))
}

/// Reads the family of a model folder.
///
/// # Errors
/// If `config.json` can't be read, or names a family that isn't known.
pub fn family_of(folder: &Path) -> Result<Family, ModelError> {
    let (path, json) = config_json(folder)?;
    family(&json).map_err(|message| ModelError::Config { path, message })
}

fn read_config(json: &Map<String, Value>) -> Result<ModelConfig, String> {
    family(json)?.read(&text_config(json))
}

fn family(json: &Map<String, Value>) -> Result<Family, String> {
    match text_config(json).get("model_type") {
        Some(Value::String(name)) => Family::named(name),
        Some(other) => Err(format!("model_type = {other} is not a string")),
        None => Err("model_type is missing".into()),
    }
}

fn config_json(folder: &Path) -> Result<(std::path::PathBuf, Map<String, Value>), ModelError> {
    let path = folder.join("config.json");
    let json = serde_json::from_slice(&with_tagged_floats(&read(&path, SETTINGS)?))
        .map_err(|e| ModelError::Config { path: path.clone(), message: format!("not a JSON object: {e}") })?;
    Ok((path, json))
}
