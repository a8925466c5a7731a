//! SwiGLU (arXiv:2002.05202): `silu(gate) ⊙ up`.

use super::HostOp;
use crate::simd::{Cpu, sigmoids};

/// `gate·σ(gate)·up` of every number.
#[derive(Debug, Clone)]
pub(crate) struct FusedSwiglu;

impl HostOp<2> for FusedSwiglu {
    type Kept = ();

    fn forward(&self, [gate, up]: [&[f32]; 2]) -> (Vec<f32>, ()) {
        let cpu = Cpu::detect();
        let mut y = sigmoids(cpu, gate);
        cpu.run(|| {
            for (y, (gate, up)) in y.iter_mut().zip(gate.iter().zip(up)) {
                *y *= gate * up;
            }
        });
        (y, ())
    }

    /// `d silu(g)/dg = σ·(1 + g·(1 - σ))`.
    fn backward(&self, [gate, up]: [&[f32]; 2], (): &(), slope: &[f32]) -> [Vec<f32>; 2] {
        let cpu = Cpu::detect();
        let (mut by_gate, mut by_up) = (sigmoids(cpu, gate), vec![0.0; up.len()]);
        cpu.run(|| {
            let inputs = gate.iter().zip(up).zip(slope);
            for ((by_gate, by_up), ((gate, up), slope)) in by_gate.iter_mut().zip(&mut by_up).zip(inputs) {
                let sigmoid = *by_gate;
                *by_up = slope * gate * sigmoid;
                *by_gate = slope * up * sigmoid * (1.0 + gate * (1.0 - sigmoid));
            }
        });
        [by_gate, by_up]
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
