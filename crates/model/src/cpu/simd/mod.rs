//! Arithmetic in the vector instructions of this processor, which are found at run time, without `unsafe`.

// Everything under `with_simd` has to become part of one function compiled for the chosen instructions.
#![allow(clippy::inline_always)]

mod dispatch;
mod exp;
mod product;
mod softmax;

pub(crate) use dispatch::Cpu;
pub(crate) use exp::exp;
pub(crate) use product::{TALL, Target, WIDE, tile};
pub(crate) use softmax::{exps, row_max, row_max_any, sigmoids, swiglu};
