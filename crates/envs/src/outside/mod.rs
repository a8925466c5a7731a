//! Holds the parts of environments whose sessions live in another program: its process, its last lines, and
//! the count of its failures. Servers of tools share the lines.

pub(crate) mod failures;
pub mod group;
pub(crate) mod program;
pub mod stderr;
mod watch;
