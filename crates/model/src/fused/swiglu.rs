//! SwiGLU (arXiv:2002.05202): `silu(gate) ⊙ up`.

#![allow(clippy::inline_always)]

use pulp::{Simd, WithSimd};

use super::HostOp;
use crate::simd::{Cpu, exp};

/// `gate·σ(gate)·up` of every number.
#[derive(Debug, Clone)]
pub(crate) struct FusedSwiglu;

impl HostOp<2> for FusedSwiglu {
    type Kept = ();

    fn forward(&self, [gate, up]: [&[f32]; 2]) -> (Vec<f32>, ()) {
        let mut y = sigmoids(gate);
        y.iter_mut().zip(gate.iter().zip(up)).for_each(|(y, (gate, up))| *y *= gate * up);
        (y, ())
    }

    /// `d silu(g)/dg = σ·(1 + g·(1 - σ))`.
    fn backward(&self, [gate, up]: [&[f32]; 2], (): &(), slope: &[f32]) -> [Vec<f32>; 2] {
        let mut by_gate = sigmoids(gate);
        let mut by_up = Vec::with_capacity(up.len());
        for (((by_gate, gate), up), slope) in by_gate.iter_mut().zip(gate).zip(up).zip(slope) {
            let sigmoid = *by_gate;
            by_up.push(slope * gate * sigmoid);
            *by_gate = slope * up * sigmoid * (1.0 + gate * (1.0 - sigmoid));
        }
        [by_gate, by_up]
    }
}

/// `σ(x) = 1 / (1 + e⁻ˣ)`.
pub(crate) fn sigmoids(x: &[f32]) -> Vec<f32> {
    let mut y = x.to_vec();
    Cpu::detect().run(Sigmoids(&mut y));
    y
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

#[cfg(test)]
mod tests {
    use super::super::testing::{check, numbers};
    use super::*;

    #[test]
    fn it_is_the_formula_and_its_slopes() {
        for count in [1, 15, 64, 130] {
            let far = |seed| numbers(count, seed).into_iter().map(|x| 20.0 * x).collect();
            check(&FusedSwiglu, [far(1), numbers(count, 2)], |[gate, up]| {
                gate.iter().zip(up).map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up).collect()
            });
        }
    }
}
