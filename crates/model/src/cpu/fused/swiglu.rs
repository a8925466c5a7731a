//! SwiGLU (arXiv:2002.05202): `silu(gate) ⊙ up`.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use pulp::{Simd, WithSimd};

use super::host_op::HostOp;
use crate::cpu::simd::{Cpu, sigmoids, swiglu};

/// Computes `gate·σ(gate)·up` of every entry.
#[derive(Debug, Clone)]
pub(crate) struct FusedSwiglu;

impl HostOp<2> for FusedSwiglu {
    type Saved = ();

    fn forward(&self, [gate, up]: [&[f32]; 2]) -> (Vec<f32>, ()) {
        let mut y = gate.to_vec();
        swiglu(Cpu::detect(), &mut y, up);
        (y, ())
    }

    /// `d silu(g)/dg = σ·(1 + g·(1 - σ))`.
    fn backward(&self, [gate, up]: [&[f32]; 2], (): &(), grad: &[f32]) -> [Vec<f32>; 2] {
        let cpu = Cpu::detect();
        let (mut grad_gate, mut grad_up) = (sigmoids(cpu, gate), vec![0.0; up.len()]);
        cpu.run(Backward { gate, up, grad, grad_gate: &mut grad_gate, grad_up: &mut grad_up });
        [grad_gate, grad_up]
    }
}

struct Backward<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    grad: &'a [f32],
    /// Holds `σ(gate)` at first.
    grad_gate: &'a mut [f32],
    grad_up: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let inputs = self.gate.iter().zip(self.up).zip(self.grad);
        for ((grad_gate, grad_up), ((gate, up), grad)) in
            self.grad_gate.iter_mut().zip(self.grad_up).zip(inputs)
        {
            let sigmoid = *grad_gate;
            *grad_up = grad * gate * sigmoid;
            *grad_gate = grad * up * sigmoid * (1.0 + gate * (1.0 - sigmoid));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, numbers};
    use super::*;

    #[test]
    fn it_is_the_formula_and_its_slopes() {
        for count in [1, 15, 64, 130] {
            let far = |seed| numbers(count, seed).into_iter().map(|x| 20.0 * x).collect();
            check(&FusedSwiglu, &[far(1), numbers(count, 2)], |[gate, up]| {
                gate.iter().zip(up).map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up).collect()
            });
        }
    }
}
