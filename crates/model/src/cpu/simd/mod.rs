//! Arithmetic in vector instructions that are found at run time, without `unsafe`.

// Code under `with_simd` must be inlined into one function that is compiled for the chosen instructions.
#![allow(clippy::inline_always)]

mod dispatch;
mod exp;
mod product;
mod softmax;

pub(crate) use dispatch::Cpu;
pub(crate) use exp::exp;
pub(crate) use product::{TALL, Target, WIDE, tile};
pub(crate) use softmax::{exps, row_max, row_max_any, sigmoids, swiglu};
