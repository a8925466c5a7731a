//! Layers of a block. They use Burn's operations where the CPU has no fused pass.

pub(crate) mod angles;
pub(crate) mod attention;
pub(crate) mod balance;
pub(crate) mod convolution;
pub(crate) mod delta_net;
pub(crate) mod delta_rule;
pub(crate) mod linear;
pub(crate) mod lora;
pub(crate) mod mlp;
pub(crate) mod moe;
pub(crate) mod norm;
pub(crate) mod pass;
pub(crate) mod rope;
pub(crate) mod short_conv;
