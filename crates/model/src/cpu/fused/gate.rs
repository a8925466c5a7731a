//! The gate of a feed-forward layer (arXiv:2002.05202): `activation(gate) ⊙ up`.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use pulp::{Simd, WithSimd};

use super::host_op::HostOp;
use crate::block::Activation;
use crate::cpu::simd::{Cpu, gated, sigmoids};

/// Computes `gate·σ(z(gate))·up` of every entry, with `z` from [`Activation`].
#[derive(Debug, Clone)]
pub(crate) struct FusedGate(pub(crate) Activation);

impl HostOp<2> for FusedGate {
    type Saved = ();

    fn forward(&self, [gate, up]: [&[f32]; 2]) -> (Vec<f32>, ()) {
        let mut y = gate.to_vec();
        gated(Cpu::detect(), self.0, &mut y, up);
        (y, ())
    }

    /// `d(g·σ(z(g)))/dg = σ·(1 + g·(1 - σ)·z'(g))`.
    fn backward(&self, [gate, up]: [&[f32]; 2], (): &(), grad: &[f32]) -> [Vec<f32>; 2] {
        let cpu = Cpu::detect();
        let (mut grad_gate, mut grad_up) = (gate.to_vec(), vec![0.0; up.len()]);
        for gate in &mut grad_gate {
            *gate = self.0.inner(*gate);
        }
        sigmoids(cpu, &mut grad_gate);
        let (grads, activation) = ((&mut grad_gate, &mut grad_up), self.0);
        cpu.run(Backward { gate, up, grad, grad_gate: grads.0, grad_up: grads.1, activation });
        [grad_gate, grad_up]
    }
}

struct Backward<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    grad: &'a [f32],
    /// Holds `σ(z(gate))` at first.
    grad_gate: &'a mut [f32],
    grad_up: &'a mut [f32],
    activation: Activation,
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
            let slope = self.activation.inner_slope(*gate);
            *grad_gate = grad * up * sigmoid * (1.0 + gate * (1.0 - sigmoid) * slope);
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
            check(&FusedGate(Activation::Silu), &[far(1), numbers(count, 2)], |[gate, up]| {
                gate.iter().zip(up).map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up).collect()
            });
            // Slopes of x³ need smaller numbers.
            let near = |seed| numbers(count, seed).into_iter().map(|x| 4.0 * x).collect();
            check(&FusedGate(Activation::GeluTanh), &[near(1), numbers(count, 2)], |[gate, up]| {
                let root = (2.0 / std::f64::consts::PI).sqrt();
                let gelu = |x: f64| 0.5 * x * (1.0 + (root * (x + 0.044_715 * x.powi(3))).tanh());
                gate.iter().zip(up).map(|(gate, up)| gelu(*gate) * up).collect()
            });
        }
    }
}
