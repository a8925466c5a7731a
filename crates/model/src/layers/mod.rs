//! Parts of a block, made of Burn's operations where the CPU has no single pass for them.

pub(crate) mod attention;
pub(crate) mod linear;
pub(crate) mod lora;
pub(crate) mod mlp;
pub(crate) mod norm;
pub(crate) mod rope;
