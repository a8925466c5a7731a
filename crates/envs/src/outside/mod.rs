//! Holds the parts of environments whose sessions live in another program: its process, its last lines, the
//! count of its failures, and sessions that were opened to read a task. Servers of tools share the lines.

pub(crate) mod failures;
pub mod group;
pub(crate) mod openings;
pub(crate) mod permits;
pub(crate) mod program;
pub mod stderr;
pub mod unstarted;
mod watch;
