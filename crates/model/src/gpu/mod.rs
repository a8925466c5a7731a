//! Decoding on a GPU: one token per sequence in five launches a layer and four more.
//!
//! On Burn's operations a decoding step is dozens of launches a layer, each of which takes the host longer
//! than its work takes a GPU. These kernels compute a part of a block each:
//!
//! | launch | file |
//! |---|---|
//! | input embedding | `kernels/embed.rs` |
//! | norm, projections of q, k and v | `kernels/product.rs` |
//! | norms of heads, rotation, write of the cache, attention | `kernels/attend.rs`, `kernels/rotate.rs` |
//! | output projection, residual | `kernels/product.rs` |
//! | norm, gate, up, activation | `kernels/product.rs` |
//! | down projection, residual | `kernels/product.rs` |
//! | last norm, vocabulary | `kernels/product.rs` |
//! | one token per row (two launches) | `kernels/draw.rs` |
//!
//! The cache is the one of [`Transformer::extend`](crate::Transformer::extend), which reads prompts on Burn's
//! operations; the kernels write into its tensors in place. Weights are the model's, without a copy.
//! [`covers`](covers::covers) says which networks the kernels compute. Others stay on Burn's operations.

#[cfg(not(feature = "gpu"))]
mod absent;
#[cfg(feature = "gpu")]
mod bridge;
#[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "nothing asks without a GPU"))]
mod covers;
#[cfg(feature = "gpu")]
mod decoder;
#[cfg(feature = "gpu")]
mod kernels;
#[cfg(feature = "gpu")]
mod launch;
#[cfg(feature = "gpu")]
mod launches;
#[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "nothing asks without a GPU"))]
mod step;
#[cfg(feature = "gpu")]
mod table;
#[cfg(feature = "gpu")]
mod weights;

#[cfg(not(feature = "gpu"))]
pub use absent::{GpuDecoder, count_launches};
#[cfg(feature = "gpu")]
pub use decoder::GpuDecoder;
#[cfg(feature = "gpu")]
pub use launches::count_launches;
pub use step::{DecodeFeed, Decoded, Draw};
