//! Qwen3 (dense): RMSNorm on each head of q and k, and a head size of its own.

use super::Family;

/// Per-head norms; `head_dim` defaults to 128 as in `transformers`.
pub(super) const QWEN3: Family = Family {
    model_type: "qwen3",
    architecture: "Qwen3ForCausalLM",
    read: |fields, config| {
        config.heads.qk_norm = true;
        config.heads.dim = fields.optional_size("head_dim")?.unwrap_or(128);
        if fields.flag("attention_bias")? == Some(true) {
            return Err("attention_bias = true is not supported for qwen3".into());
        }
        if fields.flag("use_sliding_window")? == Some(true) {
            return Err("use_sliding_window = true is not supported for qwen3".into());
        }
        Ok(())
    },
    write: |_config, json| {
        json.insert("use_sliding_window".into(), false.into());
    },
};
