//! SwiGLU feed-forward layer (arXiv:2002.05202): `down(silu(gate(x)) ⊙ up(x))`.

use burn::module::Module;
use burn::tensor::{Tensor, activation::silu};

use crate::cpu::fused::{FusedSwiglu, apply_host_op, supports_host_ops};
use crate::layers::linear::Linear;

/// The feed-forward layer of a block.
#[derive(Module, Debug)]
#[expect(clippy::struct_field_names, reason = "Hugging Face's names")]
pub(crate) struct Mlp {
    pub(crate) gate_proj: Linear,
    pub(crate) up_proj: Linear,
    pub(crate) down_proj: Linear,
}

impl Mlp {
    /// # Shapes
    /// - `x`: `[N, hidden]` → the same
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let (gate, up) = (self.gate_proj.forward(x.clone()), self.up_proj.forward(x));
        let shape = gate.dims();
        let y = if supports_host_ops(&gate) {
            apply_host_op(FusedSwiglu, [gate, up], shape)
        } else {
            silu(gate) * up
        };
        self.down_proj.forward(y)
    }
}
