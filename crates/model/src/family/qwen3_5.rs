//! Qwen3.5: gated DeltaNet in three of four layers, and attention whose output has a gate in the others.

use serde_json::{Map, Value};

use super::layer_kinds::{kinds, write_kinds};
use super::window::FULL;
use super::{Defaults, Family, Fields};
use crate::block::{Activation, BlockNorms, DeltaNetConfig, Mixer, Names, Projection, QkNorm};
use crate::config::ModelConfig;

const LINEAR: &str = "linear_attention";

/// Maps Qwen3.5's text model. A quarter of each head is rotated.
pub(super) const QWEN3_5: Family = Family {
    model_type: "qwen3_5_text",
    architecture: "Qwen3_5ForCausalLM",
    norms: BlockNorms::PRE,
    defaults: Defaults {
        vocab_size: 248_320,
        intermediate_size: 12_288,
        query: 16,
        key_value: Some(4),
        head_dim: Some(256),
        max_position: 32_768,
        rotated_part: Some(0.25),
        ..Defaults::LLAMA
    },
    read,
    write,
};

fn read(fields: &Fields<'_>, config: &mut ModelConfig) -> Result<(), String> {
    if config.layers[0].mlp.activation != Activation::Silu {
        return Err("hidden_act of another kind than silu is not supported: the convolutions have it".into());
    }
    let bias = fields.flag("attention_bias")?.unwrap_or(false);
    let delta = DeltaNetConfig {
        key_heads: fields.size_or("linear_num_key_heads", 16)?,
        value_heads: fields.size_or("linear_num_value_heads", 32)?,
        key_dim: fields.size_or("linear_key_head_dim", 128)?,
        value_dim: fields.size_or("linear_value_head_dim", 128)?,
        taps: fields.size_or("linear_conv_kernel_dim", 4)?,
    };
    config.norms_less_one = true;
    for attention in config.attentions_mut() {
        (attention.qkv_bias, attention.output_bias) = (bias, bias);
        (attention.qk_norm, attention.projection) = (Some(QkNorm::PerHead), Projection::Gated);
    }
    let layers = config.layers.len();
    let with_attention = if let Some(listed) = kinds(fields, layers, [FULL, LINEAR])? {
        listed
    } else {
        let interval = fields.size_or("full_attention_interval", 4)?.max(1);
        (1..=layers).map(|layer| layer.is_multiple_of(interval)).collect()
    };
    for (block, attention) in config.layers.iter_mut().zip(with_attention) {
        block.names = Names::QWEN3_5;
        if !attention {
            block.mixer = Mixer::DeltaNet(delta.clone());
        }
    }
    Ok(())
}

fn write(config: &ModelConfig, json: &mut Map<String, Value>) {
    let delta = config.layers.iter().find_map(|block| match &block.mixer {
        Mixer::DeltaNet(delta) => Some(delta),
        _ => None,
    });
    if let Some(delta) = delta {
        for (key, size) in [
            ("linear_num_key_heads", delta.key_heads),
            ("linear_num_value_heads", delta.value_heads),
            ("linear_key_head_dim", delta.key_dim),
            ("linear_value_head_dim", delta.value_dim),
            ("linear_conv_kernel_dim", delta.taps),
        ] {
            json.insert(key.into(), size.into());
        }
    }
    json.insert("attention_bias".into(), config.first_attention().qkv_bias.into());
    write_kinds(&config.layers, json, |block| if block.attention().is_some() { FULL } else { LINEAR });
}
