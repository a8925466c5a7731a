//! ERNIE 4.5 (dense): rotation of neighbouring pairs, and one key for all biases.

use super::{Defaults, Family};
use crate::block::BlockNorms;

/// Maps ERNIE 4.5. `use_bias` is for every projection.
pub(super) const ERNIE4_5: Family = Family {
    model_type: "ernie4_5",
    architecture: "Ernie4_5ForCausalLM",
    norms: BlockNorms::PRE,
    defaults: Defaults {
        vocab_size: 103_424,
        hidden_size: 1024,
        intermediate_size: 3072,
        layers: 18,
        query: 16,
        key_value: Some(2),
        head_dim: Some(128),
        max_position: 131_072,
        norm_eps: 1e-5,
        theta: 500_000.0,
        tied: true,
        ..Defaults::LLAMA
    },
    read: |fields, config| {
        let bias = fields.flag("use_bias")?.unwrap_or(false);
        for attention in config.attentions_mut() {
            (attention.qkv_bias, attention.output_bias) = (bias, bias);
            attention.rope.interleaved = true;
        }
        config.layers.iter_mut().for_each(|block| block.mlp.bias = bias);
        Ok(())
    },
    write: |config, json| {
        json.insert("use_bias".into(), config.layers[0].mlp.bias.into());
    },
};
