//! Rotary position embedding, rotate-half layout (arXiv:2104.09864 eq. 34 in the Hugging Face pairing).

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::block::AttentionConfig;
use crate::rope_config::{RopeConfig, RopeScaling, Yarn};

/// Returns the angular frequencies of a sequence of `length` tokens, in radians per token.
///
/// There is one per pair of dimensions, `D / 2`. Only [`RopeScaling::Dynamic`] depends on the length.
pub(crate) fn frequencies(config: &RopeConfig, head_dim: usize, length: usize) -> Vec<f64> {
    let dim = head_dim as f64;
    let theta = match config.scaling {
        Some(RopeScaling::Dynamic { factor, original_max_position: trained }) if length > trained => {
            let stretch = factor * length as f64 / trained as f64 - (factor - 1.0);
            config.theta * stretch.powf(dim / (dim - 2.0))
        }
        _ => config.theta,
    };
    (0..head_dim / 2)
        .map(|i| {
            let base = theta.powf(-2.0 * i as f64 / dim);
            let keep = match &config.scaling {
                None | Some(RopeScaling::Dynamic { .. }) => return base,
                Some(RopeScaling::Linear { factor }) => return base / factor,
                Some(RopeScaling::Llama3 {
                    low_freq_factor,
                    high_freq_factor,
                    original_max_position,
                    ..
                }) => {
                    let turns = *original_max_position as f64 * base / std::f64::consts::TAU;
                    ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor)).clamp(0.0, 1.0)
                }
                Some(RopeScaling::Yarn(yarn)) => {
                    let (first, last) = yarn.ramp(theta, dim);
                    1.0 - ((i as f64 - first) / (last - first)).clamp(0.0, 1.0)
                }
            };
            base * keep + base / config.factor() * (1.0 - keep)
        })
        .collect()
}

impl RopeConfig {
    /// Returns whether frequencies depend on the length of the sequence.
    pub(crate) fn depends_on_length(&self) -> bool {
        matches!(self.scaling, Some(RopeScaling::Dynamic { .. }))
    }

    fn factor(&self) -> f64 {
        match &self.scaling {
            None => 1.0,
            Some(
                RopeScaling::Linear { factor }
                | RopeScaling::Dynamic { factor, .. }
                | RopeScaling::Llama3 { factor, .. }
                | RopeScaling::Yarn(Yarn { factor, .. }),
            ) => *factor,
        }
    }

    pub(crate) fn attention_factor(&self) -> f64 {
        match &self.scaling {
            Some(RopeScaling::Yarn(yarn)) => yarn.attention_factor,
            _ => 1.0,
        }
    }
}

impl Yarn {
    /// Returns the first and last pair of dimensions of the ramp.
    fn ramp(&self, theta: f64, dim: f64) -> (f64, f64) {
        // Returns the dimension that turns this often over the original context.
        let dimension = |turns: f64| {
            dim * (self.original_max_position as f64 / (turns * std::f64::consts::TAU)).ln()
                / (2.0 * theta.ln())
        };
        let (mut first, mut last) = (dimension(self.beta_fast), dimension(self.beta_slow));
        if self.truncate {
            (first, last) = (first.floor(), last.ceil());
        }
        let (first, last) = (first.max(0.0), last.min(dim - 1.0));
        // `transformers` keeps the ramp from dividing by zero in this way.
        (first, if first == last { last + 0.001 } else { last })
    }
}

/// Holds cosines and sines of the positions of one forward pass, `[B, 1, T, D]`.
#[derive(Debug, Clone)]
pub(crate) struct Rotation {
    cos: Tensor<4>,
    sin: Tensor<4>,
}

impl Rotation {
    /// Makes the tables.
    ///
    /// - `positions`: row by row
    /// - `lengths`: tokens that each row holds in the end, those of its cache and its new ones; padding
    ///   doesn't count, so a row doesn't depend on its batch
    pub(crate) fn new(
        attention: &AttentionConfig,
        positions: &[usize],
        lengths: &[usize],
        device: &Device,
    ) -> Self {
        let rows = lengths.len();
        assert!(positions.len().is_multiple_of(rows), "as many positions in each row");
        let columns = positions.len() / rows;
        let (rope, head_dim) = (&attention.rope, attention.head_dim);
        let gain = rope.attention_factor();
        let mut cos = Vec::with_capacity(positions.len() * head_dim);
        let mut sin = Vec::with_capacity(positions.len() * head_dim);
        let mut frequencies = Vec::new();
        for (at, &position) in positions.iter().enumerate() {
            if frequencies.is_empty() || (at % columns == 0 && rope.depends_on_length()) {
                frequencies = self::frequencies(rope, head_dim, lengths[at / columns]);
            }
            // The two halves of a head share their angles. The sign of the first half's sine does the
            // rotation.
            for half in [-gain, gain] {
                for frequency in &frequencies {
                    let angle = position as f64 * frequency;
                    cos.push((gain * angle.cos()) as f32);
                    sin.push((half * angle.sin()) as f32);
                }
            }
        }
        let shape = [rows, 1, columns, head_dim];
        Self {
            cos: Tensor::from_data(TensorData::new(cos, shape), (device, DType::F32)),
            sin: Tensor::from_data(TensorData::new(sin, shape), (device, DType::F32)),
        }
    }

    /// Rotates queries or keys, in f32.
    ///
    /// # Shapes
    /// - `x`: `[B, heads, T, D]` → the same
    pub(crate) fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let (half, dtype) = (x.dims()[3] / 2, x.dtype());
        let x = x.cast(DType::F32);
        let swapped = Tensor::cat(vec![x.clone().narrow(3, half, half), x.clone().narrow(3, 0, half)], 3);
        (x * self.cos.clone() + swapped * self.sin.clone()).cast(dtype)
    }
}

/// Returns the factor of rotated queries and keys.
pub(crate) fn attention_gain(config: &RopeConfig) -> f64 {
    config.attention_factor()
}

/// Holds the rotation at one position, for code on plain vectors.
#[derive(Debug)]
pub(crate) struct Angles(pub(crate) Vec<(f32, f32)>);

impl Angles {
    /// Computes the angles of a position in a sequence of `length` tokens.
    pub(crate) fn new(attention: &AttentionConfig, position: usize, length: usize) -> Self {
        let angle = |frequency: f64| (position as f64 * frequency).sin_cos();
        let frequencies = frequencies(&attention.rope, attention.head_dim, length);
        Self(frequencies.into_iter().map(angle).map(|(sin, cos)| (cos as f32, sin as f32)).collect())
    }

    /// Rotates one head and multiplies it by a factor.
    pub(crate) fn rotate(&self, head: &mut [f32], factor: f32) {
        let (first, second) = head.split_at_mut(self.0.len());
        for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(&self.0) {
            (*a, *b) = ((*a * cos - *b * sin) * factor, (*b * cos + *a * sin) * factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama3_scaling_keeps_fast_and_slows_slow_frequencies() {
        let plain = RopeConfig { theta: 500_000.0, scaling: None };
        let scaled = RopeConfig {
            theta: 500_000.0,
            scaling: Some(RopeScaling::Llama3 {
                factor: 8.0,
                low_freq_factor: 1.0,
                high_freq_factor: 4.0,
                original_max_position: 8192,
            }),
        };
        let (a, b) = (frequencies(&plain, 128, 1), frequencies(&scaled, 128, 1));
        assert_eq!(a[0], b[0]);
        assert!((a[63] / b[63] - 8.0).abs() < 1e-9);
        assert!(a.iter().zip(&b).all(|(a, b)| b <= a && *b >= a / 8.0 - 1e-15));
    }
}
