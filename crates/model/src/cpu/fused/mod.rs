//! Parts of a block that the CPU backend computes in one pass over memory, forward and backward, where a tensor backend
//! takes a pass per operation and keeps what every one of them returned.
//!
//! They are nodes of Burn's graph like any other, and only for f32 tensors in the host's memory: on every other device
//! the same parts are made of Burn's operations. The tests of each part compare it with its formula in f64 and its
//! gradients with differences of the formula.

mod attention;
mod bridge;
mod host_op;
mod norm;
mod swiglu;
#[cfg(test)]
mod testing;
mod vocabulary;

pub(crate) use attention::FusedAttention;
pub(crate) use bridge::{apply_host_op, in_host_memory, modify_in_place, read_values, supports_host_ops};
pub(crate) use norm::FusedNorm;
pub(crate) use swiglu::FusedSwiglu;
pub(crate) use vocabulary::{OutputGrads, pick_logprobs, write_grad_logits};
