//! Parts of a block that the CPU backend computes in one pass over memory, forward and backward, where a tensor backend
//! takes a pass per operation and keeps what every one of them returned.
//!
//! They are nodes of Burn's graph like any other, and only for f32 tensors in the host's memory: on every other device
//! the same parts are made of Burn's operations. The tests of each part compare it with its formula in f64 and its
//! slopes with differences of the formula.

mod attention;
mod bridge;
mod norm;
mod swiglu;
#[cfg(test)]
mod testing;
mod vocabulary;

use std::fmt::Debug;

pub(crate) use attention::FusedAttention;
pub(crate) use bridge::{apply, change, in_host_memory, read, takes};
pub(crate) use norm::FusedNorm;
pub(crate) use swiglu::FusedSwiglu;
pub(crate) use vocabulary::{Slopes, choose, slopes_by_logits};

/// A function of `N` matrices, and how slopes come back through it. All slices are row by row.
pub(crate) trait HostOp<const N: usize>: Debug + Clone + Send + Sync + 'static {
    /// What the way back needs beside the inputs.
    type Kept: Debug + Clone + Send + 'static;

    /// The output, whose shape the caller knows.
    fn forward(&self, inputs: [&[f32]; N]) -> (Vec<f32>, Self::Kept);

    /// From the slope by the output to the slopes by the inputs.
    fn backward(&self, inputs: [&[f32]; N], kept: &Self::Kept, slope: &[f32]) -> [Vec<f32>; N];
}
