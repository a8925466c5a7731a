//! What environments share whose sessions live in another program: its process, its last words, and the
//! count of its failures.

pub(crate) mod failures;
pub(crate) mod program;
pub(crate) mod stderr;
