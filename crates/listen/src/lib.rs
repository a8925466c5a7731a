//! Serves HTTP on one machine: connections limited in number and time ([`serve`]), and whose requests are
//! answered ([`AllowedHosts`]).

mod allowed_hosts;
mod connections;

pub use allowed_hosts::AllowedHosts;
pub use connections::{Bounds, serve};
