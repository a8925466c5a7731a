//! Selects the part of a model that a run trains, and the precision of its activations.

use std::path::Path;

use burn::tensor::{DType, Device, FloatDType};
use turnwise_model::{Transformer, load_adapter_as};

use crate::config::{OptimizerConfig, Precision};
use crate::error::TrainError;
use crate::run_site::RunSite;

/// Applies `optimizer.lora`, fresh or from a checkpoint, or `optimizer.freeze`, then the activations' dtype.
/// Refuses a dtype that the device lacks: Burn would compute wrong numbers in it without an error. Refuses a
/// loss of routers that the model lacks.
pub(crate) fn trained_part(
    model: Transformer,
    config: &OptimizerConfig,
    seed: u64,
    site: &RunSite,
    adapter: Option<&Path>,
) -> Result<Transformer, TrainError> {
    let bad = |message: String| TrainError::Input(format!("optimizer.{message}"));
    if config.lora.is_some() && !config.freeze.is_empty() {
        return Err(bad("freeze: with optimizer.lora everything but the adapter is frozen already".into()));
    }
    let coefficient = config.router_aux_loss_coef;
    if coefficient != 0.0 && model.config().layers.iter().all(|block| block.mlp.experts.is_none()) {
        return Err(bad(format!("router_aux_loss_coef = {coefficient}: the model has no experts")));
    }
    let model = match &config.lora {
        Some(lora) => {
            lora.check().map_err(bad)?;
            match adapter {
                Some(folder) => load_adapter_as(model, lora, folder)?,
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
    if !precisions(&site.device).contains(&config.precision) {
        return Err(bad(format!(
            "precision = \"{}\" is not available on device \"{}\"\n  hint: f32 is",
            config.precision.name(),
            site.device_name
        )));
    }
    Ok(model.computing_in(dtype))
}

/// Returns the precisions that a device computes in.
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

#[cfg(test)]
mod tests {
    use turnwise_model::{AttentionConfig, BlockConfig, ModelConfig, TokenBatch};

    use super::*;

    fn model(device: &Device) -> Transformer {
        let attention = AttentionConfig::new(4, 2, 8);
        let config = ModelConfig {
            max_position: 64,
            ..ModelConfig::new(48, 32, vec![BlockConfig::new(attention, 64); 2])
        };
        Transformer::random(&config, 0, device)
    }

    fn scores(model: &Transformer) -> Vec<f32> {
        let tokens: Vec<u32> = (0..16).map(|t| t * 7 % 48).collect();
        let hidden = model.hidden(&TokenBatch::new(&[&tokens]));
        model.logits(hidden).cast(DType::F32).into_data().try_into_vec().expect("scores were just cast")
    }

    #[test]
    fn a_loss_of_routers_needs_routers() {
        let device = crate::device::backend::device(None).unwrap();
        let site = RunSite {
            device: device.clone(),
            device_name: "test".into(),
            git_commit: None,
            server_key: None,
            now: turnwise_rollout::chat::Moment::now(),
        };
        let config = OptimizerConfig { router_aux_loss_coef: 0.01, ..OptimizerConfig::default() };
        let refused = trained_part(model(&device), &config, 0, &site, None).map(drop).unwrap_err();
        let said = "optimizer.router_aux_loss_coef = 0.01: the model has no experts";
        assert_eq!(refused.to_string(), said);
    }

    #[test]
    fn a_precision_is_computed_in_or_refused() {
        let device_name = std::env::var("TURNWISE_TEST_DEVICE").unwrap_or_else(|_| "flex".into());
        let device = crate::device::backend::device(Some(&device_name)).unwrap();
        let site = RunSite {
            device: device.clone(),
            device_name: device_name.clone(),
            git_commit: None,
            server_key: None,
            now: turnwise_rollout::chat::Moment::now(),
        };
        let exact = scores(&model(&device));
        for precision in [Precision::F32, Precision::Bf16, Precision::F16] {
            let config = OptimizerConfig { precision, ..OptimizerConfig::default() };
            let result = trained_part(model(&device), &config, 0, &site, None);
            let has = precisions(&device).contains(&precision);
            assert_eq!(has, result.is_ok(), "{precision:?}");
            match result {
                Ok(model) => {
                    let gaps = scores(&model).into_iter().zip(&exact).map(|(a, b)| (a - b).abs());
                    let gap = gaps.fold(0.0, f32::max);
                    let rounds = precision != Precision::F32;
                    assert!(gap < 0.05 && (gap > 0.0) == rounds, "{precision:?} is off by {gap}");
                }
                Err(error) => assert_eq!(
                    error.to_string(),
                    format!(
                        "optimizer.precision = \"{}\" is not available on device \"{device_name}\"\n  hint: f32 is",
                        precision.name()
                    )
                ),
            }
        }
        // The software driver of the tests lacks bf16, so the refusal is seen there.
        assert!(device_name != "wgpu" || !precisions(&device).contains(&Precision::Bf16));
    }
}
