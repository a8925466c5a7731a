//! Qwen2 and Qwen2.5: biases on the q, k and v projections.

use super::{Defaults, Family, window};
use crate::block::BlockNorms;

/// Maps Qwen2. Published files switch the sliding window off with `use_sliding_window`.
pub(super) const QWEN2: Family = Family {
    model_type: "qwen2",
    architecture: "Qwen2ForCausalLM",
    norms: BlockNorms::PRE,
    defaults: Defaults {
        vocab_size: 151_936,
        intermediate_size: 22_016,
        key_value: Some(32),
        max_position: 32_768,
        ..Defaults::LLAMA
    },
    read: |fields, config| {
        config.attentions_mut().for_each(|attention| attention.qkv_bias = true);
        window::read(fields, &mut config.layers)
    },
    write: |config, json| window::write(&config.layers, json),
};
