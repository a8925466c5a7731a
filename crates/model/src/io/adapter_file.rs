//! Adapters in the layout of `peft`: `adapter_config.json` and `adapter_model.safetensors`.

use std::path::Path;

use burn::tensor::DType;
use serde::Deserialize;
use serde_json::json;

use crate::build::{Init, ParameterSource};
use crate::error::ModelError;
use crate::io::regular_file::{SETTINGS, read};
use crate::io::weight_files::WeightFiles;
use crate::io::written::{write, write_whole};
use crate::layers::lora::LoraConfig;
use crate::parameters::Named;
use crate::transformer::Transformer;

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

/// The keys of `adapter_config.json` that change the result.
#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "peft's names")]
struct Peft {
    peft_type: String,
    r: usize,
    lora_alpha: f64,
    target_modules: Vec<String>,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    rank_pattern: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    alpha_pattern: serde_json::Map<String, serde_json::Value>,
}

/// Loads an adapter in the layout of `peft` onto its base, and freezes all other parameters.
///
/// # Errors
/// As [`adapter_config`], or if a tensor is missing, superfluous, or of another shape.
pub fn load_adapter(base: Transformer, folder: &Path) -> Result<Transformer, ModelError> {
    load_adapter_as(base, &adapter_config(folder)?, folder)
}

/// Loads an adapter onto its base with the scale of `config` instead of the folder's.
///
/// # Errors
/// If a tensor is missing, superfluous, or of another shape.
///
/// # Panics
/// If the configuration fails [`LoraConfig::check`].
pub fn load_adapter_as(
    base: Transformer,
    config: &LoraConfig,
    folder: &Path,
) -> Result<Transformer, ModelError> {
    let mut files = WeightFiles::of(vec![folder.join(WEIGHTS)])?;
    let model = base.adapt(config, &mut |name, shape| files.values(name, &shape, Init::Constant(0.0)))?;
    files.finish(&[])?;
    Ok(model)
}

/// Reads the configuration of a saved adapter.
///
/// A rank-stabilised one (arXiv:2312.03732) gets the `alpha` that gives the same scale.
///
/// # Errors
/// If the file can't be read, or is of another kind of adapter than LoRA with one rank and scale.
pub fn adapter_config(folder: &Path) -> Result<LoraConfig, ModelError> {
    let path = folder.join(CONFIG);
    let bad = |message: String| ModelError::Config { path: path.clone(), message };
    let peft: Peft = serde_json::from_slice(&read(&path, SETTINGS)?)
        .map_err(|e| bad(format!("not an adapter's configuration: {e}")))?;
    if peft.peft_type != "LORA" {
        return Err(bad(format!("peft_type = \"{}\" is not supported (only LORA)", peft.peft_type)));
    }
    if peft.use_dora || !peft.rank_pattern.is_empty() || !peft.alpha_pattern.is_empty() {
        return Err(bad("use_dora, rank_pattern and alpha_pattern are not supported".into()));
    }
    let mut config = LoraConfig { rank: peft.r, alpha: peft.lora_alpha, targets: peft.target_modules };
    config.check().map_err(bad)?;
    if peft.use_rslora {
        // Rank-stabilised LoRA (arXiv:2312.03732) scales by α/√r.
        config.alpha *= (config.rank as f64).sqrt();
    }
    Ok(config)
}

/// Saves the adapter of a model for `peft`, which loads it onto `base`.
///
/// - `base`: a folder or a name on a hub
///
/// # Errors
/// If a file can't be written.
///
/// # Panics
/// If the model has no adapter, or another one than `config` says.
pub fn save_adapter(
    model: &Transformer,
    config: &LoraConfig,
    base: &str,
    folder: &Path,
) -> Result<(), ModelError> {
    let matrices = model.adapter_matrices();
    assert!(!matrices.is_empty(), "only a model with an adapter has one to save");
    assert!(model.has_adapter_of(config), "an adapter is saved with its own configuration");
    std::fs::create_dir_all(folder).map_err(|source| ModelError::Write { path: folder.into(), source })?;
    let named: Vec<Named> = matrices
        .into_iter()
        .map(|(name, matrix)| Named {
            name,
            shape: matrix.dims().to_vec(),
            values: matrix
                .into_data_dtype(DType::F32)
                .try_into_vec()
                .expect("data was just converted to f32"),
        })
        .collect();
    write(&folder.join(WEIGHTS), &named)?;
    let json = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": config.rank,
        "lora_alpha": config.alpha,
        "lora_dropout": 0.0,
        "target_modules": model.adapted_layers(config),
        "bias": "none",
        "fan_in_fan_out": false,
        "use_rslora": false,
        "inference_mode": true,
    });
    write_whole(&folder.join(CONFIG), &serde_json::to_vec_pretty(&json).expect("JSON of plain values"))
}
