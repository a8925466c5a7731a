//! A function of slices that becomes a node of Burn's graph.

use std::fmt::Debug;

/// Computes a function of `N` matrices and its backward pass. All slices are row by row.
pub(crate) trait HostOp<const N: usize>: Debug + Clone + Send + Sync + 'static {
    /// Values that the backward pass needs in addition to the inputs.
    type Saved: Debug + Clone + Send + 'static;

    /// Returns the output, whose shape the caller knows, and the saved values.
    fn forward(&self, inputs: [&[f32]; N]) -> (Vec<f32>, Self::Saved);

    /// Returns the gradients with respect to the inputs, given the one with respect to the output.
    fn backward(&self, inputs: [&[f32]; N], saved: &Self::Saved, grad: &[f32]) -> [Vec<f32>; N];
}
