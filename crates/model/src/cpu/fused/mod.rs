//! Parts of a block that the CPU computes in one pass over memory, forward and backward.
//!
//! A tensor backend takes a pass per operation and keeps the result of each. The fused parts are nodes of
//! Burn's graph too, for f32 tensors in the host's memory; other devices use Burn's operations. The tests
//! compare each part with its formula in f64, and its gradients with finite differences of the formula.

mod attention;
mod bridge;
mod convolution;
mod delta;
mod gate;
mod host_op;
mod mixture;
mod norm;
mod short_conv;
#[cfg(test)]
mod testing;
mod vocabulary;

pub(crate) use attention::{FusedAttention, FusedRotation};
pub(crate) use bridge::{apply_host_op, in_host_memory, modify_in_place, read_values, supports_host_ops};
pub(crate) use convolution::FusedConvolution;
pub(crate) use delta::FusedDelta;
pub(crate) use gate::FusedGate;
pub(crate) use mixture::FusedMixture;
pub(crate) use norm::FusedNorm;
pub(crate) use short_conv::FusedShortConv;
pub(crate) use vocabulary::{OutputGrads, pick_logprobs, write_grad_logits};
