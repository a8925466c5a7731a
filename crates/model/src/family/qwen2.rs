//! Qwen2 and Qwen2.5: biases on the q, k and v projections.

use super::Family;

/// Biased projections. The sliding window of the published configs is switched off by `use_sliding_window`.
pub(super) const QWEN2: Family = Family {
    model_type: "qwen2",
    architecture: "Qwen2ForCausalLM",
    read: |fields, config| {
        config.heads.qkv_bias = true;
        if fields.flag("use_sliding_window")? == Some(true) {
            return Err("use_sliding_window = true is not supported for qwen2".into());
        }
        Ok(())
    },
    write: |_config, json| {
        json.insert("use_sliding_window".into(), false.into());
    },
};
