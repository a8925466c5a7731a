//! Causal convolution of each channel of whole sequences, and SiLU after it.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use std::sync::Arc;

use pulp::{Simd, WithSimd};

use super::host_op::HostOp;
use crate::cpu::simd::{Cpu, sigmoids};

/// Computes `silu(conv(x))` of whole sequences. No output sees another sequence.
///
/// # Shapes
/// - `x`: `[N, channels]`, of the tokens of all sequences in turn, weights: `[channels, taps]` →
///   `[N, channels]`
#[derive(Debug, Clone)]
pub(crate) struct FusedConvolution {
    /// Tokens of each sequence.
    pub(crate) lengths: Arc<[usize]>,
    pub(crate) channels: usize,
}

impl HostOp<2> for FusedConvolution {
    type Saved = ();

    fn forward(&self, [x, weight]: [&[f32]; 2]) -> (Vec<f32>, ()) {
        let (taps, bias) = (transposed(weight, self.channels), vec![0.0; self.channels]);
        let mut y = Vec::with_capacity(x.len());
        for x in sequences(&self.lengths, x, self.channels) {
            mix(x, &taps, &bias, &mut y);
        }
        let mut slopes = y.clone();
        sigmoids(Cpu::detect(), &mut slopes);
        y.iter_mut().zip(slopes).for_each(|(y, sigmoid)| *y *= sigmoid);
        (y, ())
    }

    /// With `s = conv(x)`: `d silu(s)/ds = σ(s)·(1 + s·(1 - σ(s)))`.
    fn backward(&self, [x, weight]: [&[f32]; 2], (): &(), grad: &[f32]) -> [Vec<f32>; 2] {
        let (taps, bias) = (transposed(weight, self.channels), vec![0.0; self.channels]);
        let (mut grad_x, mut grad_taps) = (Vec::with_capacity(x.len()), vec![0.0; taps.len()]);
        let both =
            sequences(&self.lengths, x, self.channels).zip(sequences(&self.lengths, grad, self.channels));
        for (x, grad) in both {
            let mut mixed = Vec::with_capacity(x.len());
            mix(x, &taps, &bias, &mut mixed);
            let mut through = mixed.clone();
            sigmoids(Cpu::detect(), &mut through);
            for (sigmoid, (mixed, grad)) in through.iter_mut().zip(mixed.iter().zip(grad)) {
                *sigmoid *= grad * (1.0 + mixed * (1.0 - *sigmoid));
            }
            grad_x.extend(mix_back(x, &taps, &through, &mut grad_taps, &mut vec![0.0; self.channels]));
        }
        [grad_x, transposed(&grad_taps, grad_taps.len() / self.channels)]
    }
}

/// Cuts a matrix of `width` columns into those of sequences.
pub(super) fn sequences<'a>(
    lengths: &'a [usize],
    matrix: &'a [f32],
    width: usize,
) -> impl Iterator<Item = &'a [f32]> {
    lengths.iter().scan(matrix, move |rest, length| {
        let (first, others) = rest.split_at(length * width);
        *rest = others;
        Some(first)
    })
}

/// Transposes `[rows, columns]`.
pub(super) fn transposed(matrix: &[f32], rows: usize) -> Vec<f32> {
    let columns = matrix.len() / rows;
    (0..columns).flat_map(|column| matrix[column..].iter().step_by(columns).copied()).collect()
}

/// Appends the convolution of one sequence to `mixed`.
///
/// # Shapes
/// - `fed`: `[T, channels]`, `taps`: `[taps, channels]`, `bias`: `[channels]` → `[T, channels]`
pub(super) fn mix(fed: &[f32], taps: &[f32], bias: &[f32], mixed: &mut Vec<f32>) {
    let start = mixed.len();
    mixed.extend(bias.iter().cycle().take(fed.len()));
    Cpu::detect().run(Mix { fed, taps, width: bias.len(), mixed: &mut mixed[start..] });
}

/// Returns the gradient with respect to a sequence, given the one with respect to its convolution, and adds
/// those of taps and bias.
pub(super) fn mix_back(
    fed: &[f32],
    taps: &[f32],
    through: &[f32],
    grad_taps: &mut [f32],
    grad_bias: &mut [f32],
) -> Vec<f32> {
    let mut grad_fed = vec![0.0; fed.len()];
    Cpu::detect().run(Back { fed, taps, through, grad_fed: &mut grad_fed, grad_taps, grad_bias });
    grad_fed
}

struct Mix<'a> {
    fed: &'a [f32],
    taps: &'a [f32],
    width: usize,
    /// Holds the biases at first.
    mixed: &'a mut [f32],
}

impl WithSimd for Mix<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { fed, taps, width, mixed } = self;
        let count = taps.len() / width;
        for (t, row) in mixed.chunks_exact_mut(width).enumerate() {
            for at in (t + 1).saturating_sub(count)..=t {
                let tap = (count - 1 - (t - at)) * width;
                let inputs = fed[at * width..(at + 1) * width].iter().zip(&taps[tap..tap + width]);
                for (sum, (fed, tap)) in row.iter_mut().zip(inputs) {
                    *sum += fed * tap;
                }
            }
        }
    }
}

struct Back<'a> {
    fed: &'a [f32],
    taps: &'a [f32],
    /// Gradient with respect to the output, `[T, width]`.
    through: &'a [f32],
    grad_fed: &'a mut [f32],
    grad_taps: &'a mut [f32],
    grad_bias: &'a mut [f32],
}

impl WithSimd for Back<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { fed, taps, through, grad_fed, grad_taps, grad_bias } = self;
        let (width, count) = (grad_bias.len(), taps.len() / grad_bias.len());
        for (t, through) in through.chunks_exact(width).enumerate() {
            for (sum, grad) in grad_bias.iter_mut().zip(through) {
                *sum += grad;
            }
            for at in (t + 1).saturating_sub(count)..=t {
                let tap = (count - 1 - (t - at)) * width;
                let here = at * width..(at + 1) * width;
                let (taps, grad_taps) = (&taps[tap..tap + width], &mut grad_taps[tap..tap + width]);
                let sums = grad_fed[here.clone()].iter_mut().zip(grad_taps);
                let inputs = fed[here].iter().zip(taps).zip(through);
                for ((grad_fed, grad_tap), ((fed, tap), grad)) in sums.zip(inputs) {
                    *grad_fed += grad * tap;
                    *grad_tap += grad * fed;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, numbers};
    use super::*;

    #[test]
    fn it_is_the_formula_and_its_slopes() {
        for (channels, taps, lengths) in [(1, 1, &[3][..]), (5, 4, &[7, 1, 0, 2]), (33, 2, &[5, 9])] {
            let tokens: usize = lengths.iter().sum();
            let op = FusedConvolution { lengths: lengths.into(), channels };
            check(&op, &[numbers(tokens * channels, 1), numbers(channels * taps, 2)], |[x, weight]| {
                let mut y = Vec::new();
                let mut start = 0;
                for &length in lengths {
                    for (t, c) in (0..length).flat_map(|t| (0..channels).map(move |c| (t, c))) {
                        let sees = |back: usize| {
                            weight[c * taps + taps - 1 - back] * x[(start + t - back) * channels + c]
                        };
                        let sum: f64 = (0..taps.min(t + 1)).map(sees).sum();
                        y.push(sum / (1.0 + (-sum).exp()));
                    }
                    start += length;
                }
                y
            });
        }
    }
}
