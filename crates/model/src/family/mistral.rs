//! Mistral: a sliding window.

use super::{Defaults, Family};
use crate::block::BlockNorms;

/// Maps Mistral (arXiv:2310.06825 §2). An absent `sliding_window` is 4096 tokens; `null` switches it off.
pub(super) const MISTRAL: Family = Family {
    model_type: "mistral",
    architecture: "MistralForCausalLM",
    norms: BlockNorms::PRE,
    defaults: Defaults {
        intermediate_size: 14_336,
        key_value: Some(8),
        max_position: 131_072,
        ..Defaults::LLAMA
    },
    read: |fields, config| {
        let window = fields.present_size("sliding_window", Some(4096))?;
        config.attentions_mut().for_each(|attention| attention.window = window);
        Ok(())
    },
    write: |config, json| {
        json.insert("sliding_window".into(), config.first_attention().window.into());
    },
};
