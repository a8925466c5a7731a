//! Checks a device: scores of a tiny model against those on plain vectors, and two steps of training.

use burn::tensor::{DType, Device, FloatDType};
use serde::{Deserialize, Serialize};
use turnwise_model::{
    AttentionConfig, BlockConfig, HostCache, HostModel, KvCache, ModelConfig, QkNorm, TokenBatch, Transformer,
};

use crate::config::OptimizerConfig;
use crate::learn::nll::{Example, step};
use crate::learn::optimizer::Optimizer;

/// Holds the result of a device's check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelfCheck {
    /// Element types of activations that the device supports, by their names in a run file.
    pub dtypes: Vec<String>,
    /// Largest difference between scores on the device and on the host.
    pub gap: f64,
}

/// Largest difference that rounding explains.
const TOLERANCE: f64 = 1e-3;

/// Checks a device, which must not track gradients. The error says what it computes wrongly.
pub fn self_check(device: &Device) -> Result<SelfCheck, String> {
    let attention =
        AttentionConfig { qkv_bias: true, qk_norm: Some(QkNorm::PerHead), ..AttentionConfig::new(4, 2, 8) };
    let config = ModelConfig {
        max_position: 64,
        ..ModelConfig::new(48, 32, vec![BlockConfig::new(attention, 64); 2])
    };
    let tokens: Vec<u32> = (0..16).map(|t| t * 7 % 48).collect();
    let gap = gap(&Transformer::random(&config, 0, device), &tokens);
    if gap.is_nan() || gap > TOLERANCE {
        return Err(format!("its scores differ from those of the host by {gap}"));
    }
    let losses = losses(Transformer::random(&config, 0, &device.clone().autodiff()), tokens);
    if losses[1].is_nan() || losses[1] >= losses[0] {
        return Err(format!("a training step takes the loss from {} to {}", losses[0], losses[1]));
    }
    let types = [("f32", FloatDType::F32), ("bf16", FloatDType::BF16), ("f16", FloatDType::F16)];
    let has = types.into_iter().filter(|(_, float)| device.supports_dtype(*float));
    Ok(SelfCheck { dtypes: has.map(|(name, _)| name.into()).collect(), gap })
}

fn gap(model: &Transformer, tokens: &[u32]) -> f64 {
    let mut cache = KvCache::new(model.config(), 1);
    let here = model.logits(model.extend(&TokenBatch::new(&[tokens]), &mut cache));
    let here: Vec<f32> = here.cast(DType::F32).into_data().try_into_vec().expect("scores were just cast");
    let there = HostModel::of(model).extend(&mut [(tokens, &mut HostCache::default())]);
    let differences = here.iter().zip(&there[0]).map(|(a, b)| f64::from((a - b).abs()));
    // `max` would lose a NaN.
    differences.fold(0.0, |most: f64, gap| if most.is_nan() || gap <= most { most } else { gap })
}

/// Returns the loss before each of two steps.
fn losses(mut model: Transformer, tokens: Vec<u32>) -> [f64; 2] {
    let config = OptimizerConfig { lr: 1e-2, warmup: 0, ..OptimizerConfig::default() };
    let mut optimizer = Optimizer::new(&config);
    let mask = (0..tokens.len()).map(|t| t > 0).collect();
    let examples = [Example { tokens, mask }];
    [(); 2].map(|()| {
        let loss;
        (model, loss) = step(model.clone(), &mut optimizer, &examples, &config);
        loss
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_device_is_sound() {
        let found = self_check(&crate::device::backend::device(None).unwrap()).unwrap();
        assert!(found.dtypes.contains(&"f32".to_string()), "{found:?}");
        assert!(found.gap < 1e-4, "{found:?}");
    }
}
