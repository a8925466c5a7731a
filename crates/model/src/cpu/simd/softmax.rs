//! Functions built on the exponential: softmax over rows of whole vectors, and the logistic function.

use pulp::{Simd, WithSimd};

use super::dispatch::Cpu;
use super::exp::exp;
use crate::block::Activation;

/// Returns the maximum of whole vectors.
#[inline(always)]
pub(crate) fn row_max<S: Simd>(simd: S, row: &[f32]) -> f32 {
    let mut max = simd.splat_f32s(f32::NEG_INFINITY);
    for x in S::as_simd_f32s(row).0 {
        max = simd.max_f32s(max, *x);
    }
    simd.reduce_max_f32s(max)
}

/// Returns the maximum of a row of any length.
#[inline(always)]
pub(crate) fn row_max_any<S: Simd>(simd: S, row: &[f32]) -> f32 {
    let (head, tail) = row.split_at(row.len() / S::F32_LANES * S::F32_LANES);
    tail.iter().copied().fold(row_max(simd, head), f32::max)
}

/// Replaces scores by `exp(score - max)` and returns their sum.
#[inline(always)]
pub(crate) fn exps<S: Simd>(simd: S, row: &mut [f32], max: f32) -> f32 {
    let (max, mut sum) = (simd.splat_f32s(max), simd.splat_f32s(0.0));
    for x in S::as_mut_simd_f32s(row).0 {
        *x = exp(simd, simd.sub_f32s(*x, max));
        sum = simd.add_f32s(sum, *x);
    }
    simd.reduce_sum_f32s(sum)
}

/// Replaces numbers by `e^(x - max)`, within two units in the last place; 0 if that is below `e⁻⁸⁷`.
pub fn exponentials(x: &mut [f32], max: f32) {
    Cpu::detect().run(Exponentials(x, max));
}

struct Exponentials<'a>(&'a mut [f32], f32);

impl WithSimd for Exponentials<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(x, max) = self;
        let (head, tail) = x.split_at_mut(x.len() / S::F32_LANES * S::F32_LANES);
        exps(simd, head, max);
        if !tail.is_empty() {
            let last = exp(simd, simd.sub_f32s(simd.partial_load_f32s(tail), simd.splat_f32s(max)));
            simd.partial_store_f32s(tail, last);
        }
    }
}

/// Bounds scores by `cap·tanh(score / cap)`.
pub(crate) fn bound(scores: &mut [f32], cap: f32) {
    for score in scores {
        *score = cap * (*score / cap).tanh();
    }
}

/// Computes `activation(gate) ⊙ up` in place of `gate`.
pub(crate) fn gated(cpu: Cpu, activation: Activation, gate: &mut [f32], up: &[f32]) {
    let mut factors: Vec<f32> = gate.iter().map(|gate| activation.inner(*gate)).collect();
    sigmoids(cpu, &mut factors);
    for ((gate, up), sigmoid) in gate.iter_mut().zip(up).zip(factors) {
        *gate *= sigmoid * up;
    }
}

/// Replaces numbers by `σ(x) = 1 / (1 + e⁻ˣ)`.
pub(crate) fn sigmoids(cpu: Cpu, x: &mut [f32]) {
    cpu.run(Sigmoids(x));
}

struct Sigmoids<'a>(&'a mut [f32]);

impl WithSimd for Sigmoids<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (head, tail) = S::as_mut_simd_f32s(self.0);
        for x in head {
            *x = sigmoid(simd, *x);
        }
        if !tail.is_empty() {
            let last = sigmoid(simd, simd.partial_load_f32s(tail));
            simd.partial_store_f32s(tail, last);
        }
    }
}

#[inline(always)]
fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    simd.div_f32s(one, simd.add_f32s(one, exp(simd, simd.neg_f32s(x))))
}
