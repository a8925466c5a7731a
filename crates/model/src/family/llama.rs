//! Llama 2 and 3, SmolLM2, and most small models that copy them.

use super::{Defaults, Family};
use crate::block::BlockNorms;

/// Maps Llama: no norms of q and k, and biases if the file has them.
pub(super) const LLAMA: Family = Family {
    model_type: "llama",
    architecture: "LlamaForCausalLM",
    norms: BlockNorms::PRE,
    defaults: Defaults::LLAMA,
    read: |fields, config| {
        let bias = fields.flag("attention_bias")?.unwrap_or(false);
        for attention in config.attentions_mut() {
            (attention.qkv_bias, attention.output_bias) = (bias, bias);
        }
        let bias = fields.flag("mlp_bias")?.unwrap_or(false);
        config.layers.iter_mut().for_each(|block| block.mlp.bias = bias);
        Ok(())
    },
    write: |config, json| {
        json.insert("attention_bias".into(), config.first_attention().qkv_bias.into());
        json.insert("mlp_bias".into(), config.layers[0].mlp.bias.into());
    },
};
