//! The decoder of a build without a backend for GPUs.

use std::convert::Infallible;

use super::step::{DecodeFeed, Decoded};
use crate::cache::KvCache;
use crate::config::ModelConfig;
use crate::transformer::Transformer;

/// Decodes on a GPU; a build without a backend for one has none.
pub struct GpuDecoder(Infallible);

impl GpuDecoder {
    /// Returns none.
    pub fn of(_: &Transformer) -> Option<Self> {
        None
    }

    /// Returns whether the kernels of a build with a GPU compute this network.
    pub fn covers(config: &ModelConfig) -> bool {
        super::covers::covers(config)
    }

    /// Does nothing.
    pub fn refuse() {}

    /// Decodes one token per sequence.
    pub fn step(&mut self, _: &[Option<DecodeFeed>], _: &mut KvCache) -> Vec<Option<Decoded>> {
        match self.0 {}
    }

    /// Lets go of the cache's tensors.
    pub fn release(&mut self) {
        match self.0 {}
    }
}

/// Runs a function; a build without a backend for GPUs launches nothing.
pub fn count_launches<T>(run: impl FnOnce() -> T) -> (T, usize) {
    (run(), 0)
}
