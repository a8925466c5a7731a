//! The backward pass: from the gradient with respect to the output to those of queries, keys and values.
//!
//! With `P` a row's weights and `dP = grad·vᵀ`: `dS = P ∘ (dP - Σ P∘dP)`, `dq = dS·k`, `dk = dSᵀ·q`, `dv =
//! Pᵀ·grad`.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use pulp::{Simd, WithSimd};

use super::forward::Block;
use super::heads::{Size, Unit};
use super::{ROWS, Row};
use crate::cpu::simd::{TALL, Target, WIDE, exp, tile};

impl Unit<'_> {
    /// Returns gradients of queries, `[share, rows, wide]`, and of keys and values, `[rows, wide]`, before
    /// the rotation.
    pub(super) fn backward(&self, [q, k, v]: [&[f32]; 3], saved: &[Row], grad: &[f32]) -> [Vec<f32>; 3] {
        let (size, plan) = (self.size(), self.plan);
        let q = self.queries().rotated(q, self.angles(), plan.factors[0]);
        let k = self.keys().rotated(k, self.angles(), plan.factors[1]);
        let (k_columns, v_columns) = (size.transposed(&k), size.transposed(&self.keys().read(v)));
        let grad = self.queries().read(grad);
        let [mut grad_q, mut grad_k, mut grad_v] = [&q, &k, &k].map(|like| vec![0.0; like.len()]);
        let (mut weights, mut grads) = (vec![0.0; ROWS * size.rows], vec![0.0; ROWS * size.rows]);
        if size.tokens > 0 {
            for head in 0..self.share() {
                let here = head * size.buffer()..(head + 1) * size.buffer();
                plan.cpu.run(Backward {
                    size,
                    q: &q[here.clone()],
                    k: &k,
                    k_columns: &k_columns,
                    v_columns: &v_columns,
                    rows: &saved[head * size.tokens..][..size.tokens],
                    grad: &grad[here.clone()],
                    weights: &mut weights,
                    grads: &mut grads,
                    grad_q: &mut grad_q[here],
                    grad_k: &mut grad_k,
                    grad_v: &mut grad_v,
                });
            }
        }
        self.queries().rotate_back(&mut grad_q, self.angles(), plan.factors[0]);
        self.keys().rotate_back(&mut grad_k, self.angles(), plan.factors[1]);
        [grad_q, grad_k, grad_v]
    }
}

/// One head of queries. Matrices are `[rows, wide]`, those of columns `[wide, rows]`.
struct Backward<'a> {
    size: Size<'a>,
    q: &'a [f32],
    k: &'a [f32],
    k_columns: &'a [f32],
    v_columns: &'a [f32],
    rows: &'a [Row],
    grad: &'a [f32],
    /// `[ROWS, rows]`.
    weights: &'a mut [f32],
    /// `[ROWS, rows]`.
    grads: &'a mut [f32],
    grad_q: &'a mut [f32],
    grad_k: &'a mut [f32],
    grad_v: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { size, rows, weights, grads, .. } = self;
        for start in (0..size.tokens).step_by(ROWS) {
            let block = Block::new(&size, start);
            block.scores(simd, (self.q, self.k_columns), weights);
            block.scores(simd, (self.grad, self.v_columns), grads);
            let both = weights.chunks_exact_mut(size.rows).zip(grads.chunks_exact_mut(size.rows));
            for (i, (weights, grads)) in both.enumerate() {
                let (weights, grads) =
                    (&mut weights[block.first..block.end], &mut grads[block.first..block.end]);
                let Some(&row) = rows.get(start + i) else {
                    weights.fill(0.0);
                    grads.fill(0.0);
                    continue;
                };
                let slopes = size.softcap().map(|cap| bound_with_slopes(cap, weights));
                block.hide(i, weights);
                write_grad_scores(simd, row, weights, grads);
                for (grad, slope) in grads.iter_mut().zip(slopes.into_iter().flatten()) {
                    *grad *= slope;
                }
            }
            block.mix(simd, grads, self.k, &mut self.grad_q[start * size.wide..]);
            block.spread(simd, grads, self.q, self.grad_k);
            block.spread(simd, weights, self.grad, self.grad_v);
        }
    }
}

impl Block<'_> {
    /// Adds `weightsᵀ·b` of the block's rows of `b`, `[rows, wide]`, to `out`, `[rows, wide]`.
    #[inline(always)]
    fn spread<S: Simd>(&self, simd: S, weights: &[f32], b: &[f32], out: &mut [f32]) {
        let Size { wide, rows, .. } = *self.size;
        let b = &b[self.start * wide..];
        for key in (self.first..self.end).step_by(TALL) {
            let mut tall = [[0.0; TALL]; ROWS];
            for (i, tall) in tall.iter_mut().enumerate() {
                tall.copy_from_slice(&weights[i * rows + key..][..TALL]);
            }
            for column in (0..wide).step_by(WIDE * S::F32_LANES) {
                let target = Target { out: &mut out[key * wide..], stride: wide, add: true };
                tile::<S, TALL, WIDE>(simd, ROWS, |k| tall[k], (b, wide, column), target);
            }
        }
    }
}

/// Bounds scores by `cap·tanh(score / cap)` and returns the slopes.
fn bound_with_slopes(cap: f32, scores: &mut [f32]) -> Vec<f32> {
    let bounded = scores.iter_mut().map(|score| {
        let part = (*score / cap).tanh();
        *score = cap * part;
        1.0 - part * part
    });
    bounded.collect()
}

/// Replaces a row's scores by its weights, and the gradients of the weights by those of the scores.
#[inline(always)]
fn write_grad_scores<S: Simd>(simd: S, [max, scale]: Row, scores: &mut [f32], grads: &mut [f32]) {
    let (max, scale) = (simd.splat_f32s(max), simd.splat_f32s(scale));
    let (weights, grads) = (S::as_mut_simd_f32s(scores).0, S::as_mut_simd_f32s(grads).0);
    let mut mean = simd.splat_f32s(0.0);
    for (weight, grad) in weights.iter_mut().zip(&*grads) {
        *weight = simd.mul_f32s(exp(simd, simd.sub_f32s(*weight, max)), scale);
        mean = simd.mul_add_f32s(*weight, *grad, mean);
    }
    let mean = simd.splat_f32s(simd.reduce_sum_f32s(mean));
    for (weight, grad) in weights.iter().zip(grads) {
        *grad = simd.mul_f32s(*weight, simd.sub_f32s(*grad, mean));
    }
}
