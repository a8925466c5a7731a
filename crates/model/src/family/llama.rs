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
        let attention = fields.flag("attention_bias")?.unwrap_or(false);
        let mlp = fields.flag("mlp_bias")?.unwrap_or(false);
        for block in &mut config.layers {
            (block.attention.qkv_bias, block.attention.output_bias) = (attention, attention);
            block.mlp.bias = mlp;
        }
        Ok(())
    },
    write: |config, json| {
        json.insert("attention_bias".into(), config.layers[0].attention.qkv_bias.into());
        json.insert("mlp_bias".into(), config.layers[0].mlp.bias.into());
    },
};
