//! Decoding without a tensor backend: the transformer over plain vectors, for the CPU.
//!
//! A decoding step multiplies one row per sequence by every weight of the model. On a tensor backend each of
//! its small operations costs a call, an allocation and a pass over memory, and matrix products first copy
//! the weights into another layout. Here the weights are in that layout from the start, and four sequences
//! share each reading of them. The numbers are those of [`Transformer::extend`](crate::Transformer::extend)
//! up to rounding. Training stays on the backend.

mod attend;
mod attention;
mod blocks;
mod cache;
mod delta_net;
mod feed;
mod kernels;
mod layer;
mod matrix;
mod mlp;
mod model;
mod moe;
mod precision;
mod short_conv;
mod weights;

pub use cache::HostCache;
pub use model::HostModel;
pub use precision::HostPrecision;
