//! A feed-forward layer (arXiv:2002.05202).

use super::weights::{Affine, affine, parts};
use crate::block::{Activation, MlpConfig};
use crate::cpu::simd::{Cpu, gated};
use crate::layers::mlp::Mlp;

/// Holds the weights of a feed-forward layer.
#[derive(Debug)]
pub(super) struct HostMlp {
    gate: Affine,
    up: Affine,
    down: Affine,
    activation: Activation,
}

impl HostMlp {
    pub(super) fn new(config: &MlpConfig, mlp: &Mlp) -> Self {
        let widths = [config.width; 2];
        let [gate, up] = parts(mlp.gate_up_proj.as_ref(), [&mlp.gate_proj, &mlp.up_proj], widths);
        Self { gate, up, down: affine(&mlp.down_proj), activation: config.activation }
    }

    /// # Shapes
    /// - `h`: `[N, hidden]` → the same
    pub(super) fn forward(&self, cpu: Cpu, h: &[f32]) -> Vec<f32> {
        let mut gate = self.gate.apply(cpu, h);
        gated(cpu, self.activation, &mut gate, &self.up.apply(cpu, h));
        self.down.apply(cpu, &gate)
    }
}
