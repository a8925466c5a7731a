//! Plays against servers that answer as real ones do on a bad day: one odd answer costs no other trajectory.

mod answers;
mod endings;
mod faults;
mod odd_server;
mod requests;
mod scene;
