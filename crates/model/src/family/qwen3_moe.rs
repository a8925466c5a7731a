//! Qwen3 with experts (arXiv:2505.09388 §2): Qwen3's attention, and experts in all layers or in some.

use serde_json::{Map, Value};

use super::{Defaults, Family, Fields, experts};
use crate::block::{BlockNorms, QkNorm};
use crate::config::ModelConfig;

/// Maps Qwen3's mixtures of experts.
pub(super) const QWEN3_MOE: Family = Family {
    model_type: "qwen3_moe",
    architecture: "Qwen3MoeForCausalLM",
    norms: BlockNorms::PRE,
    defaults: Defaults {
        hidden_size: 2048,
        intermediate_size: 6144,
        layers: 24,
        key_value: Some(4),
        ..super::qwen2::QWEN2.defaults
    },
    read,
    write,
};

fn read(fields: &Fields<'_>, config: &mut ModelConfig) -> Result<(), String> {
    let bias = fields.flag("attention_bias")?.unwrap_or(false);
    let window = match fields.flag("use_sliding_window")? {
        Some(true) => fields.present_size("sliding_window", Some(4096))?,
        _ => None,
    };
    for attention in config.attentions_mut() {
        (attention.qkv_bias, attention.output_bias) = (bias, bias);
        (attention.qk_norm, attention.window) = (Some(QkNorm::PerHead), window);
    }
    let experts = experts::read(fields, 128, 8)?;
    let width = fields.size_or("moe_intermediate_size", 768)?;
    let every = fields.size_or("decoder_sparse_step", 1)?;
    if every == 0 {
        return Err("decoder_sparse_step = 0 is not at least 1".into());
    }
    let dense = fields.list("mlp_only_layers")?;
    let is_dense =
        |layer: usize| dense.is_some_and(|all| all.iter().any(|at| at.as_u64() == Some(layer as u64)));
    for (layer, block) in config.layers.iter_mut().enumerate() {
        if experts.count > 0 && (layer + 1).is_multiple_of(every) && !is_dense(layer) {
            (block.mlp.width, block.mlp.experts) = (width, Some(experts));
        }
    }
    Ok(())
}

fn write(config: &ModelConfig, json: &mut Map<String, Value>) {
    json.insert("attention_bias".into(), config.first_attention().qkv_bias.into());
    let window = config.first_attention().window;
    json.insert("use_sliding_window".into(), window.is_some().into());
    if let Some(window) = window {
        json.insert("sliding_window".into(), window.into());
    }
    experts::write(&config.layers, json);
    let with_experts = config.layers.iter().find(|block| block.mlp.experts.is_some());
    if let Some(block) = with_experts {
        json.insert("moe_intermediate_size".into(), block.mlp.width.into());
    }
    let layers = config.layers.iter().enumerate();
    let dense = layers.filter(|(_, block)| block.mlp.experts.is_none()).map(|(layer, _)| layer);
    json.insert("mlp_only_layers".into(), dense.collect::<Vec<_>>().into());
    json.insert("decoder_sparse_step".into(), 1.into());
}
