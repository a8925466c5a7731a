//! Llama 2 and 3, SmolLM2, and most small models that copy them.

use super::{Defaults, Family};

/// No query/key norms; biases where the file asks for them.
pub(super) const LLAMA: Family = Family {
    model_type: "llama",
    architecture: "LlamaForCausalLM",
    defaults: Defaults {
        vocab_size: 32_000,
        intermediate_size: 11_008,
        key_value: None,
        head_dim: None,
        max_position: 2048,
    },
    read: |fields, config| {
        let attention = fields.flag("attention_bias")?.unwrap_or(false);
        (config.heads.qkv_bias, config.heads.output_bias) = (attention, attention);
        config.mlp_bias = fields.flag("mlp_bias")?.unwrap_or(false);
        Ok(())
    },
    write: |config, json| {
        json.insert("attention_bias".into(), config.heads.qkv_bias.into());
        json.insert("mlp_bias".into(), config.mlp_bias.into());
    },
};
