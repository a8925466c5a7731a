//! Gated feed-forward layer (arXiv:2002.05202): `down(activation(gate(x)) ⊙ up(x))`.

use burn::module::Module;
use burn::tensor::activation::{sigmoid, silu};
use burn::tensor::{DType, Tensor};

use crate::block::{Activation, MlpConfig};
use crate::cpu::fused::{FusedGate, apply_host_op, supports_host_ops};
use crate::layers::linear::Linear;

/// Holds the feed-forward layer of a block.
#[derive(Module, Debug)]
#[expect(clippy::struct_field_names, reason = "Hugging Face's names")]
pub(crate) struct Mlp {
    pub(crate) gate_proj: Option<Linear>,
    pub(crate) up_proj: Option<Linear>,
    /// Both of them in one matrix, the gate first.
    pub(crate) gate_up_proj: Option<Linear>,
    pub(crate) down_proj: Linear,
}

impl Mlp {
    /// # Shapes
    /// - `x`: `[N, hidden]` → the same
    pub(crate) fn forward(&self, x: Tensor<2>, config: &MlpConfig) -> Tensor<2> {
        let [gate, up] = self.project(x, config.width);
        let shape = gate.dims();
        let y = if supports_host_ops(&gate) {
            apply_host_op(FusedGate(config.activation), [gate, up], shape)
        } else {
            activate(gate, config.activation) * up
        };
        self.down_proj.forward(y)
    }

    fn project(&self, x: Tensor<2>, width: usize) -> [Tensor<2>; 2] {
        match (&self.gate_up_proj, &self.gate_proj, &self.up_proj) {
            (Some(both), ..) => {
                let both = both.forward(x);
                [both.clone().narrow(1, 0, width), both.narrow(1, width, width)]
            }
            (None, Some(gate), Some(up)) => [gate.forward(x.clone()), up.forward(x)],
            _ => unreachable!("a feed-forward layer has a gate"),
        }
    }
}

/// Computes `x·σ(z(x))`, with `z` from [`Activation`].
fn activate(x: Tensor<2>, activation: Activation) -> Tensor<2> {
    match activation {
        Activation::Silu => silu(x),
        Activation::GeluTanh => {
            let (dtype, x) = (x.dtype(), x.cast(DType::F32));
            let cube = x.clone() * x.clone() * x.clone();
            let z = x.clone().mul_scalar(Activation::LINEAR) + cube.mul_scalar(Activation::CUBIC);
            (x * sigmoid(z)).cast(dtype)
        }
    }
}
