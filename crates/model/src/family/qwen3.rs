//! Qwen3 (dense): RMSNorm on each head of q and k, and a head size of its own.

use super::{Defaults, Family, window};

/// Per-head norms; `head_dim` defaults to 128 as in `transformers`.
pub(super) const QWEN3: Family = Family {
    model_type: "qwen3",
    architecture: "Qwen3ForCausalLM",
    defaults: Defaults { head_dim: Some(128), ..super::qwen2::QWEN2.defaults },
    read: |fields, config| {
        config.heads.qk_norm = true;
        let attention = fields.flag("attention_bias")?.unwrap_or(false);
        (config.heads.qkv_bias, config.heads.output_bias) = (attention, attention);
        config.heads.sliding_window = window::read(fields, config.num_layers)?;
        Ok(())
    },
    write: |config, json| {
        json.insert("attention_bias".into(), config.heads.qkv_bias.into());
        window::write(config.heads.sliding_window, json);
    },
};
