//! OLMoE (arXiv:2409.02060): experts in every layer, and norms of q and k over all heads together.

use super::{Defaults, Family, experts};
use crate::block::{BlockNorms, QkNorm};

/// Maps OLMoE. Published files clip no queries, keys and values; others may.
pub(super) const OLMOE: Family = Family {
    model_type: "olmoe",
    architecture: "OlmoeForCausalLM",
    norms: BlockNorms::PRE,
    defaults: Defaults {
        vocab_size: 50_304,
        hidden_size: 2048,
        intermediate_size: 2048,
        layers: 16,
        query: 16,
        max_position: 4096,
        norm_eps: 1e-5,
        ..Defaults::LLAMA
    },
    read: |fields, config| {
        let (bias, clip) = (fields.flag("attention_bias")?.unwrap_or(false), fields.number("clip_qkv")?);
        for attention in config.attentions_mut() {
            (attention.qkv_bias, attention.output_bias) = (bias, bias);
            (attention.qk_norm, attention.clip) = (Some(QkNorm::FullWidth), clip);
        }
        let experts = experts::read(fields, 64, 8)?;
        config.layers.iter_mut().for_each(|block| block.mlp.experts = Some(experts));
        Ok(())
    },
    write: |config, json| {
        let attention = config.first_attention();
        json.insert("attention_bias".into(), attention.qkv_bias.into());
        json.insert("clip_qkv".into(), attention.clip.into());
        json.insert("intermediate_size".into(), config.layers[0].mlp.width.into());
        experts::write(&config.layers, json);
    },
};
