//! Mistral: a window on how far back a query sees.

use super::Family;

/// Sliding-window attention (arXiv:2310.06825 §2).
pub(super) const MISTRAL: Family = Family {
    model_type: "mistral",
    architecture: "MistralForCausalLM",
    read: |fields, config| {
        config.heads.sliding_window = fields.optional_size("sliding_window")?;
        Ok(())
    },
    write: |config, json| {
        json.insert("sliding_window".into(), config.heads.sliding_window.into());
    },
};
