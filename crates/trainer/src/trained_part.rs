//! Which part of a model a run trains, and in which precision it computes.

use std::path::Path;

use burn::tensor::{DType, Device, FloatDType};
use turnwise_model::{Transformer, load_adapter};

use crate::config::{OptimizerConfig, Precision};
use crate::error::TrainError;
use crate::runs::Place;

/// Adds a fresh adapter or the one of a checkpoint or freezes what the configuration freezes, and sets the element type of activations. What the
/// device can't do is refused here: Burn computes wrong numbers in a type that a backend lacks, without an error.
pub(crate) fn trained_part(
    model: Transformer,
    config: &OptimizerConfig,
    seed: u64,
    place: &Place,
    adapter: Option<&Path>,
) -> Result<Transformer, TrainError> {
    let bad = |message: String| TrainError::Input(format!("optimizer.{message}"));
    if config.lora.is_some() && !config.freeze.is_empty() {
        return Err(bad("freeze: with optimizer.lora everything but the adapter is frozen already".into()));
    }
    let model = match &config.lora {
        Some(lora) => {
            lora.check().map_err(bad)?;
            match adapter {
                Some(folder) => load_adapter(model, folder)?,
                None => model.with_adapter(lora, seed),
            }
        }
        None => model.frozen(&config.freeze).map_err(bad)?,
    };
    let dtype = match config.precision {
        Precision::F32 => return Ok(model),
        Precision::Bf16 => DType::BF16,
        Precision::F16 => DType::F16,
    };
    if !precisions(&place.device).contains(&config.precision) {
        return Err(bad(format!(
            "precision = \"{}\" is not available on device \"{}\"\n  hint: f32 is",
            config.precision.name(),
            place.device_name
        )));
    }
    Ok(model.computing_in(dtype))
}

/// The precisions that a device computes in.
pub fn precisions(device: &Device) -> Vec<Precision> {
    let all = [
        (Precision::F32, FloatDType::F32),
        (Precision::Bf16, FloatDType::BF16),
        (Precision::F16, FloatDType::F16),
    ];
    all.into_iter()
        .filter(|(_, float)| device.supports_dtype(*float))
        .map(|(precision, _)| precision)
        .collect()
}
