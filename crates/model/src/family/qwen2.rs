//! Qwen2 and Qwen2.5: biases on the q, k and v projections.

use super::{Defaults, Family, window};

/// Biased projections. The sliding window of the published configs is switched off by `use_sliding_window`.
pub(super) const QWEN2: Family = Family {
    model_type: "qwen2",
    architecture: "Qwen2ForCausalLM",
    defaults: Defaults {
        vocab_size: 151_936,
        intermediate_size: 22_016,
        key_value: Some(32),
        head_dim: None,
        max_position: 32_768,
    },
    read: |fields, config| {
        config.heads.qkv_bias = true;
        config.heads.sliding_window = window::read(fields, config.num_layers)?;
        Ok(())
    },
    write: |config, json| window::write(config.heads.sliding_window, json),
};
