//! The gate and the convolution of a short convolution (LFM2): `y = c ⊙ conv(b ⊙ x)`.

use std::sync::Arc;

use super::convolution::{mix, mix_back, sequences, transposed};
use super::host_op::HostOp;

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
        for gates in sequences(&self.lengths, gates, 3 * width) {
            let (fed, mut mixed) = (products(gates, width), Vec::new());
            mix(&fed, &taps, bias, &mut mixed);
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
        let both = sequences(&self.lengths, gates, 3 * width).zip(sequences(&self.lengths, grad, width));
        for (gates, grad) in both {
            let (fed, mut mixed) = (products(gates, width), Vec::new());
            mix(&fed, &taps, bias, &mut mixed);
            let rows = grad.chunks_exact(width).zip(gates.chunks_exact(3 * width));
            let through: Vec<f32> = rows
                .flat_map(|(grad, gates)| grad.iter().zip(&gates[width..]).map(|(grad, c)| grad * c))
                .collect();
            let grad_fed = mix_back(&fed, &taps, &through, &mut grad_taps, &mut grad_bias);
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

/// Returns `b ⊙ x` of every row.
fn products(gates: &[f32], width: usize) -> Vec<f32> {
    let rows = gates.chunks_exact(3 * width);
    rows.flat_map(|row| row[..width].iter().zip(&row[2 * width..]).map(|(b, x)| b * x)).collect()
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
