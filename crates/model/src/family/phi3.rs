//! Phi-3, Phi-3.5 and Phi-4-mini (arXiv:2404.14219): fused projections, and LongRoPE on a part of each head.

use super::{Defaults, Family, RopeDialect};
use crate::block::{BlockNorms, Projection};

/// Maps Phi-3. Its files mean LongRoPE by `su` and `yarn`, too.
pub(super) const PHI3: Family = Family {
    model_type: "phi3",
    architecture: "Phi3ForCausalLM",
    norms: BlockNorms::PRE,
    defaults: Defaults {
        vocab_size: 32_064,
        hidden_size: 3072,
        intermediate_size: 8192,
        max_position: 4096,
        norm_eps: 1e-5,
        rotated_part: Some(1.0),
        rope_dialect: RopeDialect::Phi3,
        ..Defaults::LLAMA
    },
    read: |fields, config| {
        let window = fields.present_size("sliding_window", None)?;
        for attention in config.attentions_mut() {
            (attention.window, attention.projection) = (window, Projection::Fused);
        }
        config.layers.iter_mut().for_each(|block| block.mlp.fused = true);
        Ok(())
    },
    write: |config, json| {
        json.insert("sliding_window".into(), config.first_attention().window.into());
    },
};
