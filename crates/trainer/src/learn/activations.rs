//! Estimates the memory that a forward pass keeps for the backward pass, and decides on recomputing.

use burn::tensor::Device;
use turnwise_model::{BlockConfig, ModelConfig, QkNorm};

use crate::device::kind::{in_memory, on_host};

/// Bytes of a number in f32.
const F32: u64 = 4;

/// Most bytes of activations per token that are kept on the CPU; a model with more recomputes them unless the
/// config decides. Allocating them in each step costs time too. A model with fewer is better split into small
/// micro-batches.
const KEPT_PER_TOKEN: u64 = 1 << 18;

/// Whether blocks with rows of up to `length` tokens are computed twice where the config doesn't say.
pub(crate) fn recomputes(model: &ModelConfig, length: u64, half: bool, device: &Device) -> bool {
    let values: u64 = values_of_blocks(model, length, is_fused(device, half)).sum();
    in_memory(device) && values * F32 > KEPT_PER_TOKEN
}

/// Whether each part of a block is one fused operation and rows are packed: in f32 on the CPU.
pub(crate) fn is_fused(device: &Device, half: bool) -> bool {
    on_host(device) && !half
}

/// Returns the values per token that each block's graph keeps, in a row of `length` tokens.
pub(crate) fn values_of_blocks(model: &ModelConfig, length: u64, fused: bool) -> impl Iterator<Item = u64> {
    let values = if fused { values_of_fused_block } else { values_of_block };
    model.layers.iter().map(move |block| values(block, model.hidden_size as u64, length))
}

/// Returns the values per token that a block of fused parts keeps: the residual stream and its norms,
/// queries, keys, values, the output of attention, and SwiGLU.
fn values_of_fused_block(block: &BlockConfig, hidden: u64, _length: u64) -> u64 {
    let attention = &block.attention;
    let (query, kv) = (attention.query_width() as u64, attention.key_value_width() as u64);
    let before_norms = match attention.qk_norm {
        None => 0,
        Some(QkNorm::PerHead | QkNorm::FullWidth) => query + kv,
        Some(QkNorm::PerHeadRotated) => 2 * (query + kv),
    };
    let stream = 2 + block.norms.count() as u64;
    stream * hidden + 2 * (query + kv) + before_norms + 3 * block.mlp.width as u64
}

/// Returns the values per token that a block of Burn's operations keeps. It adds intermediate results, and
/// scores and their softmax in a row of `length` tokens.
fn values_of_block(block: &BlockConfig, hidden: u64, length: u64) -> u64 {
    let between = 2 * hidden + 2 * block.mlp.width as u64;
    let scores = 2 * block.attention.query_heads as u64 * length;
    values_of_fused_block(block, hidden, length) + between + scores
}
