//! Decoding on the processor itself: the transformer over plain vectors, for CPU backends.
//!
//! A decoding step multiplies one row per sequence by every weight of the model. On a tensor backend each of its small
//! operations is a call, an allocation and a pass over memory of its own, and matrix products first copy the weights into
//! another layout. Here the weights lie in that layout from the start, and four sequences share each reading of them. The numbers are those of
//! [`Transformer::extend`] up to rounding; what is trained stays on the backend.

mod attend;
mod cache;
mod kernels;
mod model;
mod weights;

pub use cache::HostCache;
pub use model::HostModel;
