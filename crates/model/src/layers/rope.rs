//! Rotary position embedding (arXiv:2104.09864 eq. 34 in the two pairings of Hugging Face).

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::block::AttentionConfig;
use crate::rope_config::{LongRope, RopeConfig, RopeScaling, Yarn};

/// Returns the angular frequencies of a sequence of `length` tokens, in radians per token.
///
/// There is one per pair of rotated dimensions. Only [`RopeScaling::Dynamic`] and [`RopeScaling::LongRope`]
/// depend on the length. Every step is rounded to f32 as in `transformers`. Models learned those angles:
/// at position 1,000 exact ones differ by up to 1e-4 radians.
pub(crate) fn frequencies(config: &RopeConfig, length: usize) -> Vec<f32> {
    let theta = config.base(length);
    (0..config.rotated / 2)
        .map(|i| {
            let exponent = (2 * i) as f32 / config.rotated as f32;
            config.scaled(power(theta, exponent.into()), i, length)
        })
        .collect()
}

/// Raises a base, rounded once.
fn power(base: f32, exponent: f64) -> f32 {
    f64::from(base).powf(exponent) as f32
}

/// Returns the angle of a position in radians, rounded to f32 as in `transformers`.
pub(crate) fn angle(position: usize, frequency: f32) -> f64 {
    f64::from(position as f32 * frequency)
}

impl RopeConfig {
    /// Returns the base of the series of a sequence of `length` tokens.
    fn base(&self, length: usize) -> f32 {
        let exponent = self.rotated as f64 / (self.rotated as f64 - 2.0);
        match self.scaling {
            Some(RopeScaling::Dynamic { factor, original_max_position: trained }) if length > trained => {
                let stretch = factor as f32 * length as f32 / trained as f32 - (factor - 1.0) as f32;
                self.theta as f32 * power(stretch, exponent)
            }
            Some(RopeScaling::FixedNtk { alpha }) => (self.theta * alpha.powf(exponent)) as f32,
            _ => self.theta as f32,
        }
    }

    /// Returns the frequency of pair `i`, whose wavelength over 2π would be `power` without a scaling.
    fn scaled(&self, power: f32, i: usize, length: usize) -> f32 {
        let frequency = 1.0 / power;
        match &self.scaling {
            None | Some(RopeScaling::Dynamic { .. } | RopeScaling::FixedNtk { .. }) => frequency,
            Some(RopeScaling::Linear { factor }) => frequency / *factor as f32,
            Some(RopeScaling::LongRope(long)) => 1.0 / (long.divisors(length)[i] as f32 * power),
            Some(RopeScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position,
            }) => {
                let (low, high, factor) = (*low_freq_factor, *high_freq_factor, *factor as f32);
                let context = *original_max_position as f64;
                let wavelength = (1.0 / frequency) * std::f32::consts::TAU;
                if wavelength > (context / low) as f32 {
                    return frequency / factor;
                }
                if wavelength < (context / high) as f32 {
                    return frequency;
                }
                let turns = (1.0 / wavelength) * context as f32;
                let keep = (turns - low as f32) / (high - low) as f32;
                (1.0 - keep) * frequency / factor + keep * frequency
            }
            Some(RopeScaling::Yarn(yarn)) => {
                let (first, last) = yarn.ramp(self.theta, self.rotated as f64);
                let keep = 1.0 - ((i as f32 - first as f32) / (last - first) as f32).clamp(0.0, 1.0);
                1.0 / (yarn.factor as f32 * power) * (1.0 - keep) + frequency * keep
            }
        }
    }

    /// Returns whether frequencies depend on the length of the sequence.
    pub(crate) fn depends_on_length(&self) -> bool {
        matches!(self.scaling, Some(RopeScaling::Dynamic { .. } | RopeScaling::LongRope(_)))
    }

    pub(crate) fn attention_factor(&self) -> f64 {
        match &self.scaling {
            Some(RopeScaling::Yarn(yarn)) => yarn.attention_factor,
            Some(RopeScaling::LongRope(long)) => long.attention_factor,
            _ => 1.0,
        }
    }

    /// Returns the factor of the query at a position.
    pub(crate) fn growth(&self, position: usize) -> f64 {
        self.query_growth.as_ref().map_or(1.0, |growth| growth.at(position))
    }
}

impl LongRope {
    /// Returns the divisors of a sequence of `length` tokens.
    fn divisors(&self, length: usize) -> &[f64] {
        if length > self.original_max_position { &self.long } else { &self.short }
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

/// Holds the rotation of the positions of one forward pass.
#[derive(Debug, Clone)]
pub(crate) struct Rotation {
    /// Cosines and sines, `[B, 1, T, rotated]`; none if no dimension is rotated.
    tables: Option<(Tensor<4>, Tensor<4>)>,
    /// Whether a pair is two neighbours.
    interleaved: bool,
    /// Factors of queries, `[B, 1, T, 1]`, if they depend on the position.
    growth: Option<Tensor<4>>,
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
        let rope = &attention.rope;
        let (gain, rotated) = (rope.attention_factor(), rope.rotated);
        let mut cos = Vec::with_capacity(positions.len() * rotated);
        let mut sin = Vec::with_capacity(positions.len() * rotated);
        let mut frequencies = Vec::new();
        for (at, &position) in positions.iter().enumerate() {
            if frequencies.is_empty() || (at % columns == 0 && rope.depends_on_length()) {
                frequencies = self::frequencies(rope, lengths[at / columns]);
            }
            // The two halves of a head share their angles. The sign of the first half's sine does the
            // rotation.
            for half in [-gain, gain] {
                for frequency in &frequencies {
                    let angle = angle(position, *frequency);
                    cos.push((gain * angle.cos()) as f32);
                    sin.push((half * angle.sin()) as f32);
                }
            }
        }
        let table = |values: Vec<f32>, width: usize| {
            let shape = [rows, 1, columns, width];
            Tensor::from_data(TensorData::new(values, shape), (device, DType::F32))
        };
        let growth = |_| positions.iter().map(|&position| rope.growth(position) as f32).collect();
        Self {
            tables: (rotated > 0).then(|| (table(cos, rotated), table(sin, rotated))),
            interleaved: rope.interleaved,
            growth: rope.query_growth.as_ref().map(growth).map(|values| table(values, 1)),
        }
    }

    /// Rotates queries, in f32.
    ///
    /// # Shapes
    /// - `x`: `[B, heads, T, D]` → the same
    pub(crate) fn queries(&self, x: Tensor<4>) -> Tensor<4> {
        let dtype = x.dtype();
        let x = self.keys(x);
        match &self.growth {
            Some(growth) => (x.cast(DType::F32) * growth.clone()).cast(dtype),
            None => x,
        }
    }

    /// Rotates keys, in f32. Interleaved pairs are moved apart, in queries and keys alike, which their
    /// products don't show.
    ///
    /// # Shapes
    /// - `x`: `[B, heads, T, D]` → the same
    pub(crate) fn keys(&self, x: Tensor<4>) -> Tensor<4> {
        let Some((cos, sin)) = &self.tables else { return x };
        let ([rows, heads, columns, dim], dtype) = (x.dims(), x.dtype());
        let rotated = cos.dims()[3];
        let half = rotated / 2;
        let mut first = x.clone().cast(DType::F32);
        if rotated < dim {
            first = first.narrow(3, 0, rotated);
        }
        if self.interleaved {
            let apart: Tensor<5> = first.reshape([rows, heads, columns, half, 2]).swap_dims(3, 4);
            first = apart.reshape([rows, heads, columns, rotated]);
        }
        let parts = vec![first.clone().narrow(3, half, half), first.clone().narrow(3, 0, half)];
        let turned = (first * cos.clone() + Tensor::cat(parts, 3) * sin.clone()).cast(dtype);
        if rotated == dim {
            return turned;
        }
        Tensor::cat(vec![turned, x.narrow(3, rotated, dim - rotated)], 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama3_scaling_keeps_fast_and_slows_slow_frequencies() {
        let plain = RopeConfig::new(128, 500_000.0);
        let scaled = RopeConfig {
            scaling: Some(RopeScaling::Llama3 {
                factor: 8.0,
                low_freq_factor: 1.0,
                high_freq_factor: 4.0,
                original_max_position: 8192,
            }),
            ..plain.clone()
        };
        let (a, b) = (frequencies(&plain, 1), frequencies(&scaled, 1));
        assert_eq!(a[0], b[0]);
        assert_eq!(a[63], 8.0 * b[63]);
        assert!(a.iter().zip(&b).all(|(a, b)| b <= a && *b >= a / 8.0));
    }
    /// The bits that `transformers` 5.23 computes for a head of 16 numbers.
    #[test]
    fn every_step_of_a_scaling_is_rounded_as_in_transformers() {
        let llama3 = RopeScaling::Llama3 {
            factor: 2.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position: 16,
        };
        let yarn = RopeScaling::Yarn(Yarn {
            factor: 3.0,
            beta_fast: 32.0,
            beta_slow: 1.0,
            original_max_position: 32,
            attention_factor: 1.0,
            truncate: true,
        });
        let long = RopeScaling::LongRope(LongRope {
            short: vec![1.0, 1.1, 1.3, 1.7, 2.1, 2.3, 3.1, 5.7],
            long: vec![2.0; 8],
            original_max_position: 128,
            attention_factor: 1.0,
        });
        let dynamic = RopeScaling::Dynamic { factor: 3.0, original_max_position: 512 };
        for (theta, scaling, length, expect) in [
            (1e4, RopeScaling::Linear { factor: 3.0 }, 1, LINEAR),
            (77.0, llama3, 1, LLAMA3),
            (1e4, yarn, 1, YARN),
            (1e4, dynamic, 700, DYNAMIC),
            (1e4, long, 1, LONG),
        ] {
            let config = RopeConfig { scaling: Some(scaling), ..RopeConfig::new(16, theta) };
            let bits = frequencies(&config, length).into_iter().map(|f| format!("{:08x}", f.to_bits()));
            assert_eq!(bits.collect::<Vec<_>>().join(" "), expect, "{:?}", config.scaling);
        }
    }

    const LINEAR: &str = "3eaaaaab 3dd7e0cf 3d088889 3c2cb3d9 3b5a740d 3a8a297b 39aec33f 38dd0f2b";
    const LLAMA3: &str = "3f41fbac 3eac842b 3e2cd759 3dc8d8e6 3d69642a 3d079aaf 3c9d93a0 3c371c00";
    const YARN: &str = "3f800000 3e57e0ce 3d088889 3c2cb3d8 3b5a740e 3a8a297b 39aec33e 38dd0f2a";
    const DYNAMIC: &str = "3f800000 3e919c45 3da5a4cb 3cbc6ee9 3bd65bb1 3af3d991 3a0ab316 391dc834";
    const LONG: &str = "3f800000 3e93308c 3d9d89d9 3c986274 3b9c09c1 3ab4361b 39a9200b 3868b1a5";
}
