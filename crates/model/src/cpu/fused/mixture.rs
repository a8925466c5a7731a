//! The sum of a mixture of experts: `y = Σ w·output` over the experts of each token.

use std::sync::Arc;

use super::host_op::HostOp;
use crate::cpu::simd::dot;

/// Adds up the weighted outputs of each token's experts.
///
/// # Shapes
/// - outputs: `[rows, width]`, weights: `[N, k]` → `[N, width]`
#[derive(Debug, Clone)]
pub(crate) struct FusedMixture {
    /// Row of the output for each weight, all different.
    pub(crate) places: Arc<[usize]>,
    /// Experts of a token, `k`.
    pub(crate) chosen: usize,
    pub(crate) width: usize,
}

impl HostOp<2> for FusedMixture {
    type Saved = ();

    fn forward(&self, [outputs, weights]: [&[f32]; 2]) -> (Vec<f32>, ()) {
        let width = self.width;
        let mut y = vec![0.0; self.places.len() / self.chosen * width];
        let pairs = self.places.chunks_exact(self.chosen).zip(weights.chunks_exact(self.chosen));
        for (y, (places, weights)) in y.chunks_exact_mut(width).zip(pairs) {
            for (place, weight) in places.iter().zip(weights) {
                let output = &outputs[place * width..][..width];
                y.iter_mut().zip(output).for_each(|(y, output)| *y += weight * output);
            }
        }
        (y, ())
    }

    /// `dy/doutput = w` and `dy/dw = output`.
    fn backward(&self, [outputs, weights]: [&[f32]; 2], (): &(), grad: &[f32]) -> [Vec<f32>; 2] {
        let width = self.width;
        let (mut grad_outputs, mut grad_weights) = (vec![0.0; outputs.len()], vec![0.0; weights.len()]);
        for (at, (place, weight)) in self.places.iter().zip(weights).enumerate() {
            let grad = &grad[at / self.chosen * width..][..width];
            let row = place * width..(place + 1) * width;
            grad_weights[at] = dot(grad, &outputs[row.clone()]);
            grad_outputs[row].iter_mut().zip(grad).for_each(|(to, grad)| *to = weight * grad);
        }
        [grad_outputs, grad_weights]
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, numbers};
    use super::*;

    #[test]
    fn it_is_the_formula_and_its_slopes() {
        // Rows 1 and 4 have no place.
        for (width, chosen, places) in
            [(1, 1, &[2, 0, 3, 5][..]), (7, 2, &[3, 0, 5, 2]), (40, 4, &[0, 5, 3, 2])]
        {
            let op = FusedMixture { places: places.into(), chosen, width };
            check(&op, &[numbers(6 * width, 1), numbers(places.len(), 2)], |[outputs, weights]| {
                let tokens = places.chunks(chosen).zip(weights.chunks(chosen));
                let of = |(places, weights): (&[usize], &[f64])| {
                    let pairs: Vec<_> = places.iter().copied().zip(weights.to_vec()).collect();
                    let entry = move |column: usize| -> f64 {
                        pairs.iter().map(|(place, weight)| weight * outputs[place * width + column]).sum()
                    };
                    (0..width).map(entry).collect::<Vec<_>>()
                };
                tokens.flat_map(of).collect()
            });
        }
    }
}
