//! Llama 2 and 3, SmolLM2, and most small models that copy them.

use super::Family;

/// The plain case: no biases, no query/key norms.
pub(super) const LLAMA: Family = Family {
    model_type: "llama",
    architecture: "LlamaForCausalLM",
    read: |fields, _config| {
        for key in ["attention_bias", "mlp_bias"] {
            if fields.flag(key)? == Some(true) {
                return Err(format!("{key} = true is not supported for llama"));
            }
        }
        Ok(())
    },
    write: |_config, _json| {},
};
