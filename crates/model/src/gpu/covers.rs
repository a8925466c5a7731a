//! The networks that the kernels compute.

use crate::block::{AttentionConfig, BlockConfig, QkNorm};
use crate::config::ModelConfig;

/// Most outputs of a matrix: a launch has at most 65,535 cubes in a row, of eight outputs each.
const OUTPUTS: usize = 65_535 * 8;

/// Most numbers of a head: each has a unit.
const HEAD: usize = 256;

/// Returns whether the kernels compute a network: blocks of Llama's kind, with any rotation, windows, biases,
/// factors, and norms of each head of q and k.
pub(super) fn covers(config: &ModelConfig) -> bool {
    let sizes = [config.vocab_size, config.hidden_size];
    config.logits.softcap.is_none()
        && sizes.into_iter().all(|size| size <= OUTPUTS)
        && config.layers.iter().all(covers_block)
}

fn covers_block(block: &BlockConfig) -> bool {
    let norms = &block.norms;
    let before = norms.before_attention.is_some() && norms.before_mlp.is_some();
    let after = norms.after_attention.is_some() || norms.after_mlp.is_some();
    let plain = block.mlp.experts.is_none() && block.mlp.width <= OUTPUTS;
    before && !after && plain && block.attention().is_some_and(covers_attention)
}

fn covers_attention(attention: &AttentionConfig) -> bool {
    let norms = matches!(attention.qk_norm, None | Some(QkNorm::PerHead));
    let bounded = attention.clip.is_some() || attention.softcap.is_some();
    norms && !bounded && !attention.is_gated() && attention.head_dim <= HEAD
}
