//! The backward pass of a chunk.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use pulp::Simd;

use super::chunk::{Chunk, Inputs};
use super::products::{multiply, multiply_transposed, transpose};
use crate::cpu::simd::{add_rows, dot};

/// Holds the gradients of a chunk's inputs, in their shapes.
pub(super) struct Grads<'a> {
    pub(super) q: &'a mut [f32],
    pub(super) k: &'a mut [f32],
    pub(super) v: &'a mut [f32],
    pub(super) decays: &'a mut [f32],
    pub(super) rates: &'a mut [f32],
}

impl Chunk {
    /// Adds the gradients of the inputs to `grads`, and replaces `grad_state`, with respect to the state
    /// after the chunk, by the one with respect to the state before it.
    ///
    /// - `state`: before the chunk, `[dk, dv]`
    /// - `grad`: with respect to the outputs, `[c, dv]`
    #[inline(always)]
    pub(super) fn backward<S: Simd>(
        &self,
        simd: S,
        inputs: Inputs<'_>,
        state: &[f32],
        grad: &[f32],
        grad_state: &mut [f32],
        grads: &mut Grads<'_>,
    ) {
        let Inputs { q, k, v, rates, .. } = inputs;
        let c = rates.len();
        let (deep, wide) = (k.len() / c, v.len() / c);
        // Gradients of the sums `G`.
        let mut sums = vec![0.0_f32; c];

        // The next state. `pulled` holds the gradients of the keys that it got.
        let mut u = vec![0.0; v.len()];
        multiply(simd, &self.scaled(k, &self.left), grad_state, wide, &mut u);
        let mut pulled = vec![0.0; k.len()];
        multiply(simd, &self.corrections, &transpose(grad_state, wide), deep, &mut pulled);
        let all = self.grown[c - 1];
        sums[c - 1] += all * dot(grad_state, state);
        let mut taken = 0.0;
        for (i, sum) in sums.iter_mut().enumerate() {
            let here = i * deep..(i + 1) * deep;
            let along = self.left[i] * dot(&k[here.clone()], &pulled[here.clone()]);
            taken += along;
            *sum -= along;
            for (grad, pulled) in grads.k[here.clone()].iter_mut().zip(&pulled[here]) {
                *grad += self.left[i] * pulled;
            }
        }
        sums[c - 1] += taken;
        for grad in grad_state.iter_mut() {
            *grad *= all;
        }

        // The outputs.
        let rows = transpose(state, wide);
        let mut seen = vec![0.0; q.len()];
        multiply(simd, grad, &rows, deep, &mut seen);
        for (i, sum) in sums.iter_mut().enumerate() {
            let here = i * deep..(i + 1) * deep;
            *sum += self.grown[i] * dot(&q[here.clone()], &seen[here.clone()]);
            for (grad, seen) in grads.q[here.clone()].iter_mut().zip(&seen[here]) {
                *grad += self.grown[i] * seen;
            }
        }
        multiply_transposed(simd, &self.scaled(q, &self.grown), grad, wide, grad_state);
        multiply_transposed(simd, &self.weights, grad, wide, &mut u);
        let mut grad_weights = vec![0.0; c * c];
        multiply(simd, grad, &transpose(&self.corrections, wide), c, &mut grad_weights);
        self.through_scores(simd, &mut grad_weights, q, k, grads, &mut sums);

        // The corrections: `(I + A)ᵀ·r = u`, from the last row up.
        for i in (0..c).rev() {
            let (rest, solved) = u.split_at_mut((i + 1) * wide);
            let factor = |j: usize| {
                let at = (i + 1 + j) * c + i;
                -rates[i + 1 + j] * self.alike[at] * self.between[at]
            };
            add_rows(simd, c - 1 - i, factor, solved, &mut rest[i * wide..]);
        }
        self.through_corrections(simd, (&u, &rows), inputs, grads, &mut sums, grad_state);

        let mut sum = 0.0;
        for (grad, part) in grads.decays.iter_mut().zip(&sums).rev() {
            sum += part;
            *grad += sum;
        }
    }

    /// Takes the gradient of `q_i·k_j·D_ij` to queries, keys and sums.
    #[inline(always)]
    fn through_scores<S: Simd>(
        &self,
        simd: S,
        grad_weights: &mut [f32],
        q: &[f32],
        k: &[f32],
        grads: &mut Grads<'_>,
        sums: &mut [f32],
    ) {
        let c = sums.len();
        let deep = k.len() / c;
        for (i, row) in grad_weights.chunks_exact_mut(c).enumerate() {
            let (weights, between) = (&self.weights[i * c..], &self.between[i * c..]);
            for (j, grad) in row.iter_mut().enumerate() {
                let along = *grad * weights[j];
                sums[i] += along;
                sums[j] -= along;
                *grad *= between[j];
            }
        }
        multiply(simd, grad_weights, k, deep, grads.q);
        multiply_transposed(simd, grad_weights, q, deep, grads.k);
    }

    /// Takes the gradient `r` of the right sides of the system to values, rates, keys, sums and the state.
    #[inline(always)]
    fn through_corrections<S: Simd>(
        &self,
        simd: S,
        (r, rows): (&[f32], &[f32]),
        inputs: Inputs<'_>,
        grads: &mut Grads<'_>,
        sums: &mut [f32],
        grad_state: &mut [f32],
    ) {
        let Inputs { k, v, rates, .. } = inputs;
        let c = rates.len();
        let (deep, wide) = (k.len() / c, v.len() / c);
        // `A` has the gradient `-r·uᵀ`.
        let mut grad_alike = vec![0.0; c * c];
        multiply(simd, r, &transpose(&self.corrections, wide), c, &mut grad_alike);
        for (i, row) in grad_alike.chunks_exact_mut(c).enumerate() {
            for (j, grad) in row.iter_mut().enumerate() {
                let here = i * c + j;
                let (alike, between) = (self.alike[here], self.between[here]);
                let by = if j < i { -*grad * between } else { 0.0 };
                grads.rates[i] += by * alike;
                let along = by * rates[i] * alike;
                sums[i] += along;
                sums[j] -= along;
                *grad = by * rates[i];
            }
        }
        multiply(simd, &grad_alike, k, deep, grads.k);
        multiply_transposed(simd, &grad_alike, k, deep, grads.k);
        // The right sides. `recall` is the gradient of `S·k_i`, negated.
        let mut recall = Vec::with_capacity(r.len());
        for i in 0..c {
            let here = i * wide..(i + 1) * wide;
            let (r, recalled) = (&r[here.clone()], &self.recalled[here.clone()]);
            let by = rates[i] * self.grown[i];
            sums[i] -= by * dot(r, recalled);
            grads.rates[i] += dot(r, &v[here.clone()]) - self.grown[i] * dot(r, recalled);
            for (grad, r) in grads.v[here].iter_mut().zip(r) {
                *grad += rates[i] * r;
            }
            recall.extend(r.iter().map(|r| -by * r));
        }
        multiply(simd, &recall, rows, deep, grads.k);
        multiply_transposed(simd, k, &recall, wide, grad_state);
    }
}
