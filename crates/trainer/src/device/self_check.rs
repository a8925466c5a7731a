//! Checks a device: logits of a tiny model against those on plain vectors, on Burn's operations and with our
//! kernels, and two steps of training.

use burn::tensor::{DType, Device, FloatDType};
use serde::{Deserialize, Serialize};
use turnwise_model::{
    AttentionConfig, BlockConfig, DecodeFeed, Decoded, GpuDecoder, HostCache, HostModel, KvCache,
    ModelConfig, QkNorm, TokenBatch, Transformer,
};

use crate::config::OptimizerConfig;
use crate::device::driver_panic::catch_driver_panic;
use crate::learn::nll::{Example, step};
use crate::learn::optimizer::Optimizer;

/// Holds the result of a device's check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelfCheck {
    /// Element types of activations that the device supports, by their names in a run file.
    pub dtypes: Vec<String>,
    /// Largest difference between logits on the device and on the host.
    pub gap: f64,
    /// Error of the decoding kernels, if they failed the check. This process then decodes on Burn's
    /// operations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_fault: Option<String>,
}

/// Largest difference that rounding in f32 explains.
const TOLERANCE: f64 = 1e-3;

/// Element types by their names in a run file, and the largest difference that rounding of weights, keys and
/// values explains.
const TYPES: [(&str, FloatDType, DType, f64); 3] = [
    ("f32", FloatDType::F32, DType::F32, TOLERANCE),
    ("bf16", FloatDType::BF16, DType::BF16, 0.1),
    ("f16", FloatDType::F16, DType::F16, 0.02),
];

/// Checks a device, which must not track gradients. The error says what it computes wrongly.
///
/// Kernels for decoding that fail are no error, since Burn's operations replace them from then on.
pub fn self_check(device: &Device) -> Result<SelfCheck, String> {
    let attention =
        AttentionConfig { qkv_bias: true, qk_norm: Some(QkNorm::PerHead), ..AttentionConfig::new(4, 2, 8) };
    let config = ModelConfig {
        max_position: 64,
        ..ModelConfig::new(48, 32, vec![BlockConfig::new(attention, 64); 2])
    };
    let tokens: Vec<u32> = (0..16).map(|t| t * 7 % 48).collect();
    let model = Transformer::random(&config, 0, device);
    let mut row = HostModel::of(&model).extend(&mut [(&tokens, &mut HostCache::default())]);
    let expected = row.pop().expect("one sequence was read");
    let gap = difference(&logits(&model, &tokens), &expected);
    if gap.is_nan() || gap > TOLERANCE {
        return Err(format!("its logits differ from those of the host by {gap}"));
    }
    let losses = losses(Transformer::random(&config, 0, &device.clone().autodiff()), &tokens);
    if losses[1].is_nan() || losses[1] >= losses[0] {
        return Err(format!("a training step takes the loss from {} to {}", losses[0], losses[1]));
    }
    let has: Vec<_> = TYPES.into_iter().filter(|(_, float, ..)| device.supports_dtype(*float)).collect();
    let kernel_fault = has.iter().find_map(|&(name, _, dtype, tolerance)| {
        let gap = catch_driver_panic(|| kernel_gap(&model.clone().cast(dtype), &tokens, &expected));
        match gap.transpose()? {
            Ok(gap) if gap <= tolerance => None,
            Ok(gap) => Some(format!("their logits in {name} differ from those of the host by {gap}")),
            Err(what) => Some(format!("they fail in {name}: {what}")),
        }
    });
    if kernel_fault.is_some() {
        GpuDecoder::refuse();
    }
    Ok(SelfCheck { dtypes: has.iter().map(|(name, ..)| (*name).into()).collect(), gap, kernel_fault })
}

/// Returns the logits after the last token, on Burn's operations.
fn logits(model: &Transformer, tokens: &[u32]) -> Vec<f32> {
    let mut cache = KvCache::new(model.config(), 1);
    let logits = model.logits(model.extend(&TokenBatch::new(&[tokens]), &mut cache));
    logits.cast(DType::F32).into_data().try_into_vec().expect("logits were just cast")
}

/// Returns the difference of the logits after the last token, decoded by kernels; none if the device has
/// none.
fn kernel_gap(model: &Transformer, tokens: &[u32], expected: &[f32]) -> Option<f64> {
    let mut decoder = GpuDecoder::of(model)?;
    let (&token, prompt) = tokens.split_last()?;
    let mut cache = KvCache::new(model.config(), 1);
    model.extend(&TokenBatch::new(&[prompt]), &mut cache);
    let decoded = decoder.step(&[Some(DecodeFeed { token, draw: None })], &mut cache);
    match &decoded[..] {
        [Some(Decoded::Logits(logits))] => Some(difference(logits, expected)),
        _ => Some(f64::NAN),
    }
}

/// Returns the largest difference of two rows of logits; NaN if one of them is.
fn difference(here: &[f32], there: &[f32]) -> f64 {
    let differences = here.iter().zip(there).map(|(a, b)| f64::from((a - b).abs()));
    // `max` would lose a NaN.
    differences.fold(0.0, |most: f64, gap| if most.is_nan() || gap <= most { most } else { gap })
}

/// Returns the loss before each of two steps.
fn losses(mut model: Transformer, tokens: &[u32]) -> [f64; 2] {
    let config = OptimizerConfig { lr: 1e-2, warmup: 0, ..OptimizerConfig::default() };
    let mut optimizer = Optimizer::new(&config);
    let mask = (0..tokens.len()).map(|t| t > 0).collect();
    let examples = [Example { tokens: tokens.to_vec(), mask }];
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
        assert_eq!(found.kernel_fault, None);
    }
}
