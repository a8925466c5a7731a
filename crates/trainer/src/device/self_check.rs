//! Whether a device computes what it should: a tiny model on it beside the same model on plain vectors, and two steps of
//! training.

use burn::tensor::{DType, Device, FloatDType};
use serde::{Deserialize, Serialize};
use turnwise_model::{
    Heads, HostCache, HostModel, KvCache, ModelConfig, RopeConfig, TokenBatch, Transformer,
};

use crate::config::OptimizerConfig;
use crate::learn::nll::{Example, step};
use crate::learn::optimizer::Optimizer;

/// What the check of a device found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelfCheck {
    /// Element types of activations that the device has, by their names in a run file.
    pub dtypes: Vec<String>,
    /// Largest difference of a score from that of the host.
    pub gap: f64,
}

/// Scores differ by rounding only.
const TOLERANCE: f64 = 1e-3;

/// Checks a device, which must not track gradients. Fails with what it computes wrongly.
pub fn self_check(device: &Device) -> Result<SelfCheck, String> {
    let config = ModelConfig {
        vocab_size: 48,
        hidden_size: 32,
        intermediate_size: 64,
        num_layers: 2,
        heads: Heads {
            query: 4,
            key_value: 2,
            dim: 8,
            qkv_bias: true,
            output_bias: false,
            qk_norm: true,
            sliding_window: None,
        },
        max_position: 64,
        norm_eps: 1e-6,
        rope: RopeConfig { theta: 10_000.0, scaling: None },
        tied_embeddings: true,
        mlp_bias: false,
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

/// The loss before each of two steps.
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
