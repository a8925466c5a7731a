//! GLM-4 (0414): norms around both halves, rotation of neighbouring pairs in half of each head, a fused
//! feed-forward layer.

use super::{Defaults, Family};
use crate::block::BlockNorms;

/// Maps GLM-4. Its biases are on q, k and v alone.
pub(super) const GLM4: Family = Family {
    model_type: "glm4",
    architecture: "Glm4ForCausalLM",
    norms: BlockNorms {
        before_attention: Some("input_layernorm"),
        after_attention: Some("post_self_attn_layernorm"),
        before_mlp: Some("post_attention_layernorm"),
        after_mlp: Some("post_mlp_layernorm"),
    },
    defaults: Defaults {
        vocab_size: 151_552,
        intermediate_size: 13_696,
        layers: 40,
        key_value: Some(2),
        head_dim: Some(128),
        max_position: 131_072,
        norm_eps: 1.5625e-7,
        rotated_part: Some(0.5),
        ..Defaults::LLAMA
    },
    read: |fields, config| {
        let bias = fields.flag("attention_bias")?.unwrap_or(true);
        for attention in config.attentions_mut() {
            attention.qkv_bias = bias;
            attention.rope.interleaved = true;
        }
        config.layers.iter_mut().for_each(|block| block.mlp.fused = true);
        Ok(())
    },
    write: |config, json| {
        json.insert("attention_bias".into(), config.first_attention().qkv_bias.into());
    },
};
