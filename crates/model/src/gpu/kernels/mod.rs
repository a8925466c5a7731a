//! Kernels of a decoding step, in CubeCL: one source for every GPU.
//!
//! A cube has [`UNITS`] units. Sums are taken in f32, in an order that depends on nothing but the shapes, so
//! a row doesn't depend on the others. `steps` has five words for each row: token, slot, position, uniform
//! number and factor of the logits.

#![allow(
    clippy::used_underscore_binding,
    clippy::trivially_copy_pass_by_ref,
    clippy::collapsible_if,
    reason = "CubeCL's macros read this form: types by name, arrays by reference, one condition at a time"
)]

pub(super) mod attend;
pub(super) mod draw;
pub(super) mod embed;
pub(super) mod product;
mod reduce;
mod rotate;

/// Units of a cube, in every kernel.
pub(super) const UNITS: usize = 256;
