//! What a single pass over memory is to Burn's graph.

use std::fmt::Debug;

/// A function of `N` matrices, and how slopes come back through it. All slices are row by row.
pub(crate) trait HostOp<const N: usize>: Debug + Clone + Send + Sync + 'static {
    /// What the way back needs beside the inputs.
    type Saved: Debug + Clone + Send + 'static;

    /// The output, whose shape the caller knows.
    fn forward(&self, inputs: [&[f32]; N]) -> (Vec<f32>, Self::Saved);

    /// From the slope by the output to the slopes by the inputs.
    fn backward(&self, inputs: [&[f32]; N], saved: &Self::Saved, grad: &[f32]) -> [Vec<f32>; N];
}
