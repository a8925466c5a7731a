//! Serves HTTP on one machine: connections limited in number and time ([`serve`]), and whose requests are
//! answered ([`Doors`]).

mod connections;
mod doors;

pub use connections::{Bounds, serve};
pub use doors::Doors;
