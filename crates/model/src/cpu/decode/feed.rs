//! New tokens of sequences on their way through the layers.

use super::cache::HostCache;

/// Holds the new tokens of one sequence and its cache.
pub(super) type Feed<'t, 'c> = (&'t [u32], &'c mut HostCache);

/// Holds the place of one new token.
pub(super) struct Row {
    /// Index of its sequence.
    pub(super) feed: usize,
    pub(super) position: usize,
}
