//! Values that the layers of one forward pass share.

use std::cell::RefCell;
use std::sync::Arc;

use burn::tensor::Tensor;

use crate::batch::TokenBatch;
use crate::block::{AttentionConfig, BlockConfig};
use crate::config::ModelConfig;
use crate::cpu::fused::FusedAttention;
use crate::layers::balance::Routed;
use crate::layers::rope::Rotation;

/// Holds values that the layers of one forward pass share.
pub(crate) struct ForwardPass<'a> {
    config: &'a ModelConfig,
    /// `[B, T]`; `[1, N]` if rows are packed.
    pub(crate) shape: [usize; 2],
    /// Tokens of each row.
    pub(crate) lengths: Arc<[usize]>,
    /// Whether rows have no padding, and each part of a block is one operation on the host.
    pub(crate) packed: bool,
    /// Path of attention in each layer that has it.
    paths: Vec<Option<AttentionPath>>,
    /// Decisions of routers, if they are recorded.
    routed: Option<RefCell<Vec<Routed>>>,
}

/// Selects the implementation of attention.
#[expect(clippy::large_enum_variant, reason = "a pass has few")]
#[derive(Clone)]
pub(crate) enum AttentionPath {
    /// With operations of the tensor backend.
    Operations {
        rotation: Rotation,
        /// `[B or 1, 1, T, visible]`: 0 if the query sees the key, else a large negative number.
        mask: Tensor<4>,
    },
    /// In one pass, for whole sequences in the host's memory.
    Fused(FusedAttention),
}

impl<'a> ForwardPass<'a> {
    /// Makes one path for each kind of attention in the model.
    pub(crate) fn new(
        config: &'a ModelConfig,
        batch: &TokenBatch,
        packed: bool,
        make: impl Fn(&AttentionConfig) -> AttentionPath,
    ) -> Self {
        let mut paths: Vec<Option<AttentionPath>> = Vec::with_capacity(config.layers.len());
        for (at, block) in config.layers.iter().enumerate() {
            let mut before = config.layers[..at].iter();
            let path = match before.position(|other| other.attention() == block.attention()) {
                Some(same) => paths[same].clone(),
                None => block.attention().map(&make),
            };
            paths.push(path);
        }
        let cells = batch.lengths.iter().sum();
        let shape = if packed { [1, cells] } else { [batch.rows(), batch.columns] };
        Self { config, shape, lengths: batch.lengths.as_slice().into(), packed, paths, routed: None }
    }

    /// Records the decisions of routers from now on, if `record`.
    pub(crate) fn recording(mut self, record: bool) -> Self {
        self.routed = record.then(RefCell::default);
        self
    }

    /// Records the decisions of a router, if any are.
    pub(crate) fn record(&self, scores: &Tensor<2>, chosen: &[i32]) {
        if let Some(routed) = &self.routed {
            routed.borrow_mut().push(Routed { scores: scores.clone(), chosen: chosen.to_vec() });
        }
    }

    /// Returns the decisions that were recorded since the last call.
    pub(crate) fn take_routed(&self) -> Vec<Routed> {
        self.routed.as_ref().map(RefCell::take).unwrap_or_default()
    }

    /// Returns the description of a block.
    pub(crate) fn block(&self, layer: usize) -> &BlockConfig {
        &self.config.layers[layer]
    }

    /// Returns the path of attention in a layer.
    pub(crate) fn path(&self, layer: usize) -> &AttentionPath {
        self.paths[layer].as_ref().expect("a layer of attention has a path")
    }
}
