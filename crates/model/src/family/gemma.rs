//! Gemma 2 (arXiv:2408.00118) and Gemma 3 (arXiv:2503.19786): four norms per block, whose weights lie around
//! 0, GELU, scaled embeddings, and windows in most layers.

use serde_json::{Map, Value};

use super::rope_kinds::{self, LocalTheta};
use super::{Defaults, Family, Fields, window};
use crate::block::{Activation, BlockNorms, QkNorm};
use crate::config::ModelConfig;
use crate::logit_config::LogitConfig;

const DEFAULTS: Defaults = Defaults {
    vocab_size: 256_000,
    hidden_size: 2304,
    intermediate_size: 9216,
    layers: 26,
    query: 8,
    key_value: Some(4),
    head_dim: Some(256),
    max_position: 8192,
    tied: true,
    activation: Activation::GeluTanh,
    activation_key: "hidden_activation",
    ..Defaults::LLAMA
};

/// Maps Gemma 2: bounded scores and logits, and a window in every other layer.
pub(super) const GEMMA2: Family = Family {
    model_type: "gemma2",
    architecture: "Gemma2ForCausalLM",
    norms: BlockNorms::AROUND,
    defaults: DEFAULTS,
    read: |fields, config| {
        common(fields, config, Some(30.0))?;
        let softcap = fields.present_number("attn_logit_softcapping", Some(50.0))?;
        let window = fields.present_size("sliding_window", Some(4096))?;
        config.attentions_mut().for_each(|attention| attention.softcap = softcap);
        window::read_kinds(fields, &mut config.layers, window, |layer| layer % 2 == 0)?;
        Ok(())
    },
    write: |config, json| {
        write_common(config, json);
        json.insert("attn_logit_softcapping".into(), config.first_attention().softcap.into());
    },
};

/// The base of Gemma 3's layers with a window.
const LOCAL: LocalTheta = LocalTheta { key: Some("rope_local_base_freq"), default: 10_000.0 };

/// Maps Gemma 3's text model: norms of q and k, a window in five of six layers, two bases of the rotation.
pub(super) const GEMMA3: Family = Family {
    model_type: "gemma3_text",
    architecture: "Gemma3ForCausalLM",
    norms: BlockNorms::AROUND,
    defaults: Defaults {
        vocab_size: 262_208,
        max_position: 131_072,
        theta: 1_000_000.0,
        ropes_by_kind: true,
        ..DEFAULTS
    },
    read: read_gemma3,
    write: |config, json| {
        write_common(config, json);
        let same = |json: &Map<String, Value>| {
            let mut read = config.clone();
            read_gemma3(&Fields(json), &mut read).is_ok() && read == *config
        };
        rope_kinds::write(config, json, same);
    },
};

fn read_gemma3(fields: &Fields<'_>, config: &mut ModelConfig) -> Result<(), String> {
    if fields.flag("use_bidirectional_attention")? == Some(true) {
        return Err("use_bidirectional_attention = true is not supported".into());
    }
    if let Some(cap) = fields.number("attn_logit_softcapping")? {
        return Err(format!(
            "attn_logit_softcapping = {cap} has no effect in transformers and is not supported"
        ));
    }
    common(fields, config, None)?;
    let window = fields.present_size("sliding_window", Some(4096))?;
    let pattern = fields.size_or("sliding_window_pattern", 6)?.max(1);
    let of_pattern = |layer: usize| !(layer + 1).is_multiple_of(pattern);
    let sliding = window::read_kinds(fields, &mut config.layers, window, of_pattern)?;
    config.attentions_mut().for_each(|attention| attention.qk_norm = Some(QkNorm::PerHead));
    rope_kinds::read(fields, &GEMMA3.defaults, LOCAL, config, &sliding)
}

/// Reads what both have.
fn common(fields: &Fields<'_>, config: &mut ModelConfig, cap: Option<f64>) -> Result<(), String> {
    let bias = fields.flag("attention_bias")?.unwrap_or(false);
    let scalar = fields.number("query_pre_attn_scalar")?.unwrap_or(256.0);
    for attention in config.attentions_mut() {
        (attention.qkv_bias, attention.output_bias) = (bias, bias);
        attention.scale = Some(scalar.powf(-0.5));
    }
    config.norms_less_one = true;
    config.embedding_scale = (config.hidden_size as f64).sqrt();
    let softcap = fields.present_number("final_logit_softcapping", cap)?;
    config.logits = LogitConfig { softcap, ..LogitConfig::default() };
    Ok(())
}

fn write_common(config: &ModelConfig, json: &mut Map<String, Value>) {
    let attention = config.first_attention();
    json.insert("attention_bias".into(), attention.qkv_bias.into());
    let scalar = attention.scale.map_or(attention.head_dim as f64, |scale| scale.powi(-2));
    // A whole number in all published files; `transformers` wants one.
    let nearest = scalar.round();
    json.insert("query_pre_attn_scalar".into(), (nearest as u64).into());
    json.insert("final_logit_softcapping".into(), config.logits.softcap.into());
    if let Some(window) = window::window(&config.layers) {
        json.insert("sliding_window".into(), window.into());
    }
    window::write_kinds(&config.layers, json);
}
