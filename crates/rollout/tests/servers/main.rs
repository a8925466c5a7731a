//! Plays against servers with the faults of real ones: one odd answer costs no other trajectory.

mod answers;
mod endings;
mod faults;
mod odd_server;
mod requests;
mod scene;
