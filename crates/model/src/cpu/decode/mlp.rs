//! A feed-forward layer (arXiv:2002.05202).

use super::precision::HostPrecision;
use super::weights::{Affine, affine, parts};
use crate::block::{Activation, MlpConfig};
use crate::cpu::simd::Cpu;
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
    pub(super) fn new(config: &MlpConfig, mlp: &Mlp, precision: HostPrecision) -> Self {
        let widths = [config.width; 2];
        let [gate, up] = parts(mlp.gate_up_proj.as_ref(), [&mlp.gate_proj, &mlp.up_proj], widths, precision);
        Self { gate, up, down: affine(&mlp.down_proj, precision), activation: config.activation }
    }

    /// # Shapes
    /// - `h`: `[N, hidden]` → the same
    pub(super) fn forward(&self, cpu: Cpu, h: &[f32]) -> Vec<f32> {
        let gated = Affine::apply_gated([&self.gate, &self.up], self.activation, cpu, h);
        self.down.apply(cpu, &gated)
    }
}
