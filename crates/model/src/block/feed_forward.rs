//! The settings of a feed-forward layer.

use super::experts::ExpertsConfig;
use super::linear_shape::LinearShape;

/// Chooses the function `x·σ(z(x))` of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// SiLU: `z(x) = x` (SwiGLU).
    Silu,
    /// The approximation of GELU by tanh: `z(x) = 2·√(2/π)·(x + 0.044715·x³)` (Gemma).
    GeluTanh,
}

impl Activation {
    /// Factor of `x` in `z(x)` of [`GeluTanh`](Self::GeluTanh): `2·√(2/π)`.
    pub(crate) const LINEAR: f64 = 1.595_769_121_605_730_8;
    /// Factor of `x³` there.
    pub(crate) const CUBIC: f64 = 0.044_715 * Self::LINEAR;

    /// Returns `z(x)`.
    #[inline]
    pub(crate) fn inner(self, x: f32) -> f32 {
        match self {
            Self::Silu => x,
            Self::GeluTanh => x * (Self::LINEAR as f32 + Self::CUBIC as f32 * x * x),
        }
    }

    /// Returns `z'(x)`.
    #[inline]
    pub(crate) fn inner_slope(self, x: f32) -> f32 {
        match self {
            Self::Silu => 1.0,
            Self::GeluTanh => Self::LINEAR as f32 + 3.0 * Self::CUBIC as f32 * x * x,
        }
    }
}

/// Describes a feed-forward layer, `down(activation(gate(x)) ⊙ up(x))` (arXiv:2002.05202).
#[derive(Debug, Clone, PartialEq)]
pub struct MlpConfig {
    /// Width between the projections.
    pub width: usize,
    /// Biases on the projections (Llama's `mlp_bias`).
    pub bias: bool,
    /// Function of the gate.
    pub activation: Activation,
    /// Whether gate and up are one matrix on disk, in this order (Phi-3).
    pub fused: bool,
    /// Experts that each have this shape, and their router; unset, one layer for all tokens.
    pub experts: Option<ExpertsConfig>,
}

/// Names of gate, up, both in one matrix, and down: below the block, and below an expert.
pub(crate) const OF_BLOCK: [&str; 4] = ["mlp.gate_proj", "mlp.up_proj", "mlp.gate_up_proj", "mlp.down_proj"];
pub(crate) const OF_EXPERT: [&str; 4] = ["gate_proj", "up_proj", "gate_up_proj", "down_proj"];

impl MlpConfig {
    /// Lists the linear layers: those of every expert in turn, after the router.
    pub(super) fn linears(&self, hidden: usize) -> Vec<LinearShape> {
        match &self.experts {
            None => self.projections(hidden, OF_BLOCK),
            Some(experts) => self.of_experts(hidden, experts, experts.count),
        }
    }

    /// Counts the weights of the linear layers that a token is multiplied with.
    pub(super) fn multiplied_weights(&self, hidden: usize) -> usize {
        let linears = match &self.experts {
            None => self.projections(hidden, OF_BLOCK),
            Some(experts) => self.of_experts(hidden, experts, experts.chosen),
        };
        linears.iter().map(LinearShape::weights).sum()
    }

    fn of_experts(&self, hidden: usize, experts: &ExpertsConfig, count: usize) -> Vec<LinearShape> {
        let mut all =
            vec![LinearShape { name: "mlp.gate", inputs: hidden, outputs: experts.count, bias: false }];
        all.extend((0..count).flat_map(|_| self.projections(hidden, OF_EXPERT)));
        all
    }

    fn projections(&self, hidden: usize, [gate, up, both, down]: [&'static str; 4]) -> Vec<LinearShape> {
        let Self { width, bias, .. } = *self;
        let read = |name, outputs| LinearShape { name, inputs: hidden, outputs, bias };
        let mut all =
            if self.fused { vec![read(both, 2 * width)] } else { vec![read(gate, width), read(up, width)] };
        all.push(LinearShape { name: down, inputs: width, outputs: hidden, bias });
        all
    }
}
