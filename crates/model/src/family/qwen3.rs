//! Qwen3 (dense): RMSNorm on each head of q and k, and an explicit head size.

use super::{Defaults, Family, window};
use crate::block::{BlockNorms, QkNorm};

/// Maps Qwen3. Its default `head_dim` is 128.
pub(super) const QWEN3: Family = Family {
    model_type: "qwen3",
    architecture: "Qwen3ForCausalLM",
    norms: BlockNorms::PRE,
    defaults: Defaults { head_dim: Some(128), ..super::qwen2::QWEN2.defaults },
    read: |fields, config| {
        let bias = fields.flag("attention_bias")?.unwrap_or(false);
        for attention in config.attentions_mut() {
            attention.qk_norm = Some(QkNorm::PerHead);
            (attention.qkv_bias, attention.output_bias) = (bias, bias);
        }
        window::read(fields, &mut config.layers)
    },
    write: |config, json| {
        json.insert("attention_bias".into(), config.first_attention().qkv_bias.into());
        window::write(&config.layers, json);
    },
};
