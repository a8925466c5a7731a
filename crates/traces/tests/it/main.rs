//! Traces from one format to another.

#[path = "../claims/mod.rs"]
mod claims;
mod foreign;
#[path = "../../../envs/tests/process/installed.rs"]
mod installed;
mod packages;
mod refusals;
mod rewards;
mod round_trip;
