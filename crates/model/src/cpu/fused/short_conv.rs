//! The gate and the convolution of a short convolution (LFM2): `y = c ⊙ conv(b ⊙ x)`.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use std::sync::Arc;

use pulp::{Simd, WithSimd};

use super::host_op::HostOp;
use crate::cpu::simd::Cpu;

/// Computes the gated convolution of whole sequences. No output sees another sequence.
///
/// # Shapes
/// - `[b, c, x]`: `[N, 3·width]`, of the tokens of all sequences in turn, weights: `[width, taps]`, biases:
///   `[1, width]` → `[N, width]`
#[derive(Debug, Clone)]
pub(crate) struct FusedShortConv {
    /// Tokens of each sequence.
    pub(crate) lengths: Arc<[usize]>,
    pub(crate) width: usize,
}

impl HostOp<3> for FusedShortConv {
    type Saved = ();

    fn forward(&self, [gates, weight, bias]: [&[f32]; 3]) -> (Vec<f32>, ()) {
        let (width, taps) = (self.width, transposed(weight, self.width));
        let mut y = Vec::with_capacity(gates.len() / 3);
        for gates in self.sequences(gates, 3 * width) {
            let (fed, mut mixed) = (products(gates, width), Vec::new());
            Cpu::detect().run(Mix { fed: &fed, taps: &taps, bias, mixed: &mut mixed });
            let rows = mixed.chunks_exact(width).zip(gates.chunks_exact(3 * width));
            y.extend(rows.flat_map(|(row, gates)| row.iter().zip(&gates[width..]).map(|(m, c)| m * c)));
        }
        (y, ())
    }

    /// With `s = conv(b ⊙ x)` and `g = grad ⊙ c`: `dc = grad ⊙ s`, and `g` goes through the convolution
    /// backwards.
    fn backward(&self, [gates, weight, bias]: [&[f32]; 3], (): &(), grad: &[f32]) -> [Vec<f32>; 3] {
        let (width, taps) = (self.width, transposed(weight, self.width));
        let mut grad_gates = Vec::with_capacity(gates.len());
        let (mut grad_taps, mut grad_bias) = (vec![0.0; taps.len()], vec![0.0; width]);
        for (gates, grad) in self.sequences(gates, 3 * width).zip(self.sequences(grad, width)) {
            let (fed, mut mixed) = (products(gates, width), Vec::new());
            Cpu::detect().run(Mix { fed: &fed, taps: &taps, bias, mixed: &mut mixed });
            let rows = grad.chunks_exact(width).zip(gates.chunks_exact(3 * width));
            let through: Vec<f32> = rows
                .flat_map(|(grad, gates)| grad.iter().zip(&gates[width..]).map(|(grad, c)| grad * c))
                .collect();
            let mut grad_fed = vec![0.0; fed.len()];
            Cpu::detect().run(Back {
                fed: &fed,
                taps: &taps,
                through: &through,
                grad_fed: &mut grad_fed,
                grad_taps: &mut grad_taps,
                grad_bias: &mut grad_bias,
            });
            let rows = gates.chunks_exact(3 * width).zip(grad_fed.chunks_exact(width));
            let outputs = grad.chunks_exact(width).zip(mixed.chunks_exact(width));
            for ((gates, grad_fed), (grad, mixed)) in rows.zip(outputs) {
                let (b, x) = (&gates[..width], &gates[2 * width..]);
                grad_gates.extend(grad_fed.iter().zip(x).map(|(grad, x)| grad * x));
                grad_gates.extend(grad.iter().zip(mixed).map(|(grad, mixed)| grad * mixed));
                grad_gates.extend(grad_fed.iter().zip(b).map(|(grad, b)| grad * b));
            }
        }
        [grad_gates, transposed(&grad_taps, grad_taps.len() / width), grad_bias]
    }
}

impl FusedShortConv {
    /// Cuts a matrix of `width` columns into those of the sequences.
    fn sequences<'a>(&'a self, matrix: &'a [f32], width: usize) -> impl Iterator<Item = &'a [f32]> {
        self.lengths.iter().scan(matrix, move |rest, length| {
            let (first, others) = rest.split_at(length * width);
            *rest = others;
            Some(first)
        })
    }
}

/// Returns `b ⊙ x` of every row.
fn products(gates: &[f32], width: usize) -> Vec<f32> {
    let rows = gates.chunks_exact(3 * width);
    rows.flat_map(|row| row[..width].iter().zip(&row[2 * width..]).map(|(b, x)| b * x)).collect()
}

/// Transposes `[rows, columns]`.
fn transposed(matrix: &[f32], rows: usize) -> Vec<f32> {
    let columns = matrix.len() / rows;
    (0..columns).flat_map(|column| matrix[column..].iter().step_by(columns).copied()).collect()
}

/// Convolves one sequence.
struct Mix<'a> {
    /// `[T, width]`.
    fed: &'a [f32],
    /// `[taps, width]`.
    taps: &'a [f32],
    bias: &'a [f32],
    /// `[T, width]`.
    mixed: &'a mut Vec<f32>,
}

impl WithSimd for Mix<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { fed, taps, bias, mixed } = self;
        let width = bias.len();
        for t in 0..fed.len() / width {
            mixed.extend_from_slice(bias);
            let row = &mut mixed[t * width..];
            for (fed, tap) in seen(fed, taps, width, t) {
                for (sum, (fed, tap)) in row.iter_mut().zip(fed.iter().zip(tap)) {
                    *sum += fed * tap;
                }
            }
        }
    }
}

/// Returns the rows that output `t` sees, oldest first, with their taps.
#[inline(always)]
fn seen<'a>(
    fed: &'a [f32],
    taps: &'a [f32],
    width: usize,
    t: usize,
) -> impl Iterator<Item = (&'a [f32], &'a [f32])> {
    let count = taps.len() / width;
    let first = (t + 1).saturating_sub(count);
    let taps = &taps[(count - (t + 1 - first)) * width..];
    fed[first * width..(t + 1) * width].chunks_exact(width).zip(taps.chunks_exact(width))
}

/// Takes the gradient of a sequence's convolution to its inputs.
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
            let first = (t + 1).saturating_sub(count);
            for at in first..=t {
                let tap = (count - 1 - (t - at)) * width;
                let here = at * width..(at + 1) * width;
                let (taps, grad_taps) = (&taps[tap..tap + width], &mut grad_taps[tap..tap + width]);
                let sums = grad_fed[here.clone()].iter_mut().zip(grad_taps);
                for ((grad_fed, grad_tap), ((fed, tap), grad)) in
                    sums.zip(fed[here].iter().zip(taps).zip(through))
                {
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
        for (width, taps, lengths) in
            [(1, 1, &[3][..]), (5, 3, &[7, 1, 0, 4]), (16, 7, &[5, 9]), (33, 4, &[2, 2])]
        {
            let tokens: usize = lengths.iter().sum();
            let op = FusedShortConv { lengths: lengths.into(), width };
            let inputs = [numbers(tokens * 3 * width, 1), numbers(width * taps, 2), numbers(width, 3)];
            check(&op, &inputs, |[gates, weight, bias]| {
                let at = |row: usize, part: usize, c: usize| gates[row * 3 * width + part * width + c];
                let mut y = Vec::new();
                let mut start = 0;
                for &length in lengths {
                    for (t, c) in (0..length).flat_map(|t| (0..width).map(move |c| (t, c))) {
                        let sum: f64 = (0..taps.min(t + 1))
                            .map(|back| {
                                let row = start + t - back;
                                weight[c * taps + taps - 1 - back] * at(row, 0, c) * at(row, 2, c)
                            })
                            .sum();
                        y.push(at(start + t, 1, c) * (bias[c] + sum));
                    }
                    start += length;
                }
                y
            });
        }
    }
}
