//! The device that tensors live on: its backend, its check, and its workers.

pub mod backend;
pub(crate) mod driver_panic;
pub(crate) mod kind;
pub mod memory;
pub mod self_check;
pub(crate) mod workers;
