//! Arithmetic in vector instructions that are found at run time.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

mod ahead;
mod dispatch;
mod exp;
mod product;
mod softmax;
#[cfg(target_arch = "x86_64")]
mod tiles;

pub(crate) use ahead::Ahead;
pub(crate) use dispatch::Cpu;
#[cfg(target_arch = "x86_64")]
pub(crate) use dispatch::Vnni;
pub(crate) use exp::exp;
pub(crate) use product::{TALL, Target, WIDE, add_rows, dot, tile};
pub use softmax::exponentials;
pub(crate) use softmax::{bound, exps, gated, row_max, row_max_any, sigmoids};
#[cfg(target_arch = "x86_64")]
pub(crate) use tiles::{TILE_ROWS, Tiles, Walk};
