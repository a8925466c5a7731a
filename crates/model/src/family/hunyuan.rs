//! Hunyuan's dense models: norms of q and k after the rotation, and a base of the rotation with a fixed
//! factor.

use super::{Defaults, Family, RopeDialect};
use crate::block::{BlockNorms, QkNorm};

/// Maps Hunyuan. A scaling `dynamic` with `alpha` doesn't depend on the length of a sequence.
pub(super) const HUNYUAN: Family = Family {
    model_type: "hunyuan_v1_dense",
    architecture: "HunYuanDenseV1ForCausalLM",
    norms: BlockNorms::PRE,
    defaults: Defaults {
        vocab_size: 290_943,
        norm_eps: 1e-5,
        rope_dialect: RopeDialect::Hunyuan,
        ..Defaults::LLAMA
    },
    read: |fields, config| {
        let bias = fields.flag("attention_bias")?.unwrap_or(false);
        for attention in config.attentions_mut() {
            (attention.qkv_bias, attention.output_bias) = (bias, bias);
            attention.qk_norm = Some(QkNorm::PerHeadRotated);
        }
        Ok(())
    },
    write: |config, json| {
        json.insert("attention_bias".into(), config.first_attention().qkv_bias.into());
    },
};
