//! OLMo 2 (arXiv:2501.00656): norms of outputs instead of inputs, and of q and k over all heads together.

use super::{Defaults, Family};
use crate::block::{BlockNorms, QkNorm};

/// Maps OLMo 2. Its default ε is 1e-5.
pub(super) const OLMO2: Family = Family {
    model_type: "olmo2",
    architecture: "Olmo2ForCausalLM",
    norms: BlockNorms::POST,
    defaults: Defaults { vocab_size: 50_304, norm_eps: 1e-5, ..Defaults::LLAMA },
    read: |fields, config| {
        let bias = fields.flag("attention_bias")?.unwrap_or(false);
        for attention in config.attentions_mut() {
            (attention.qkv_bias, attention.output_bias) = (bias, bias);
            attention.qk_norm = Some(QkNorm::FullWidth);
        }
        Ok(())
    },
    write: |config, json| {
        json.insert("attention_bias".into(), config.first_attention().qkv_bias.into());
    },
};
