//! How much a forward pass keeps for the backward pass, and whether that is too much.

use burn::tensor::Device;
use turnwise_model::ModelConfig;

use crate::device::kind::{in_memory, on_host};

/// Bytes of a number in f32.
const F32: u64 = 4;

/// Activations of a token, in bytes, that are kept on the CPU; what takes more is recomputed unless the config decides.
/// Memory that is taken anew in each step costs time too; a model that keeps less is better cut into small micro-batches.
const KEPT_PER_TOKEN: u64 = 1 << 18;

/// Whether blocks are computed twice where the config doesn't say, with rows of up to `length` tokens.
pub(crate) fn recomputes(model: &ModelConfig, length: u64, half: bool, device: &Device) -> bool {
    let fused = is_fused(device, half);
    let values = if fused { values_of_fused_block(model) } else { values_of_block(model, length) };
    in_memory(device) && model.num_layers as u64 * values * F32 > KEPT_PER_TOKEN
}

/// Whether parts of a block are single passes, and rows are packed: in f32 on the CPU.
pub(crate) fn is_fused(device: &Device, half: bool) -> bool {
    on_host(device) && !half
}

/// Values per token that the graph of a block keeps whose parts are single passes: those of the residual stream and its
/// norms, queries, keys, values and what attention returns, and those of SwiGLU.
pub(crate) fn values_of_fused_block(model: &ModelConfig) -> u64 {
    let (query, kv) = widths(model);
    let before_norms = if model.heads.qk_norm { query + kv } else { 0 };
    4 * model.hidden_size as u64 + 2 * (query + kv) + before_norms + 3 * model.intermediate_size as u64
}

/// The same where they are not: also the steps between, and scores and their softmax in a row of `length` tokens.
pub(crate) fn values_of_block(model: &ModelConfig, length: u64) -> u64 {
    let between = 2 * model.hidden_size as u64 + 2 * model.intermediate_size as u64;
    values_of_fused_block(model) + between + 2 * model.heads.query as u64 * length
}

/// Widths of all query heads and of all key/value heads together.
pub(crate) fn widths(model: &ModelConfig) -> (u64, u64) {
    let heads = &model.heads;
    ((heads.query * heads.dim) as u64, (heads.key_value * heads.dim) as u64)
}
