//! Rotary position embedding, rotate-half layout (arXiv:2104.09864 eq. 34 in the Hugging Face pairing).

use burn::tensor::{Device, Tensor, TensorData};

use crate::config::{RopeConfig, RopeScaling};

/// Angular frequencies in radians per token, one per pair of dimensions. Length `D / 2`.
fn frequencies(config: &RopeConfig, head_dim: usize) -> Vec<f64> {
    (0..head_dim / 2)
        .map(|i| {
            let base = config.theta.powf(-2.0 * i as f64 / head_dim as f64);
            match config.scaling {
                None => base,
                Some(RopeScaling::Linear { factor }) => base / factor,
                Some(RopeScaling::Llama3 {
                    factor,
                    low_freq_factor,
                    high_freq_factor,
                    original_max_position,
                }) => {
                    let turns = original_max_position as f64 * base / std::f64::consts::TAU;
                    let keep =
                        ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor)).clamp(0.0, 1.0);
                    base * keep + base / factor * (1.0 - keep)
                }
            }
        })
        .collect()
}

/// Cosines and sines for the positions of one forward pass.
#[derive(Debug, Clone)]
pub(crate) struct Rotation {
    cos: Tensor<4>,
    sin: Tensor<4>,
}

impl Rotation {
    /// For `rows × columns` positions given row by row. Tables have shape `[B, 1, T, D]`.
    pub(crate) fn new(
        config: &RopeConfig,
        head_dim: usize,
        positions: &[usize],
        [rows, columns]: [usize; 2],
        device: &Device,
    ) -> Self {
        assert_eq!(positions.len(), rows * columns, "one position per token");
        let frequencies = frequencies(config, head_dim);
        let mut cos = Vec::with_capacity(positions.len() * head_dim);
        let mut sin = Vec::with_capacity(positions.len() * head_dim);
        for &position in positions {
            // The two halves of a head share their angles; the sign of the first half's sine does the rotation.
            for half in [-1.0, 1.0] {
                for frequency in &frequencies {
                    let angle = position as f64 * frequency;
                    cos.push(angle.cos() as f32);
                    sin.push((half * angle.sin()) as f32);
                }
            }
        }
        let shape = [rows, 1, columns, head_dim];
        Self {
            cos: Tensor::from_data(TensorData::new(cos, shape), device),
            sin: Tensor::from_data(TensorData::new(sin, shape), device),
        }
    }

    /// Rotates queries or keys.
    ///
    /// # Shapes
    /// - `x`: `[B, heads, T, D]` → the same
    pub(crate) fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let half = x.dims()[3] / 2;
        let swapped = Tensor::cat(vec![x.clone().narrow(3, half, half), x.clone().narrow(3, 0, half)], 3);
        x * self.cos.clone() + swapped * self.sin.clone()
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
        let (a, b) = (frequencies(&plain, 128), frequencies(&scaled, 128));
        assert_eq!(a[0], b[0]);
        assert!((a[63] / b[63] - 8.0).abs() < 1e-9);
        assert!(a.iter().zip(&b).all(|(a, b)| b <= a && *b >= a / 8.0 - 1e-15));
    }
}
