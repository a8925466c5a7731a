//! LFM2 (arXiv:2511.23404): gated short convolutions, and attention in a few layers.

use serde_json::{Map, Value};

use super::layer_kinds::{kinds, write_kinds};
use super::window::FULL;
use super::{Defaults, Family, Fields};
use crate::block::{BlockNorms, Mixer, Names, QkNorm, ShortConvConfig};
use crate::config::ModelConfig;

const CONV: &str = "conv";

/// Maps LFM2. Its feed-forward width is derived from the one in the file.
pub(super) const LFM2: Family = Family {
    model_type: "lfm2",
    architecture: "Lfm2ForCausalLM",
    norms: BlockNorms {
        before_attention: Some("operator_norm"),
        after_attention: None,
        before_mlp: Some("ffn_norm"),
        after_mlp: None,
    },
    defaults: Defaults {
        vocab_size: 65_536,
        hidden_size: 2560,
        intermediate_size: 12_288,
        key_value: Some(8),
        max_position: 128_000,
        norm_eps: 1e-5,
        theta: 1_000_000.0,
        tied: true,
        ..Defaults::LLAMA
    },
    read,
    write,
};

fn read(fields: &Fields<'_>, config: &mut ModelConfig) -> Result<(), String> {
    config.norm_eps = fields.number("norm_eps")?.unwrap_or(LFM2.defaults.norm_eps);
    if let Some(tied) = fields.flag("tie_embedding")? {
        config.tied_embeddings = tied;
    }
    let width = match fields.optional_size("block_ff_dim")? {
        Some(width) => width,
        None => config.layers[0].mlp.width,
    };
    let (width, layers, hidden) = (adjusted(fields, width)?, config.layers.len(), config.hidden_size);
    let conv = ShortConvConfig {
        width: hidden,
        taps: fields.size_or("conv_L_cache", 3)?,
        bias: fields.flag("conv_bias")?.unwrap_or(false),
    };
    config.attentions_mut().for_each(|attention| attention.qk_norm = Some(QkNorm::PerHead));
    let with_attention = if let Some(listed) = kinds(fields, layers, [FULL, CONV])? {
        listed
    } else {
        let listed = fields.list("full_attn_idxs")?;
        let has =
            |layer: usize| listed.is_none_or(|all| all.iter().any(|at| at.as_u64() == Some(layer as u64)));
        (0..layers).map(has).collect()
    };
    for (block, attention) in config.layers.iter_mut().zip(with_attention) {
        block.names = Names::LFM2;
        block.mlp.width = width;
        if !attention {
            block.mixer = Mixer::ShortConv(conv.clone());
        }
    }
    Ok(())
}

/// Returns the width of the feed-forward layer: two thirds of the one in the file, scaled, and rounded up.
fn adjusted(fields: &Fields<'_>, width: usize) -> Result<usize, String> {
    if fields.flag("block_auto_adjust_ff_dim")? == Some(false) {
        return Ok(width);
    }
    let width = width.saturating_mul(2) / 3;
    let factor = fields.number("block_ffn_dim_multiplier")?.unwrap_or(1.0);
    // As in `transformers`, half numbers are cut off.
    let width = (factor * width as f64) as usize;
    let multiple = fields.size_or("block_multiple_of", 256)?;
    if multiple == 0 {
        return Err("block_multiple_of = 0 is not at least 1".into());
    }
    Ok(width.div_ceil(multiple).saturating_mul(multiple))
}

fn write(config: &ModelConfig, json: &mut Map<String, Value>) {
    let conv = config.layers.iter().find_map(|block| match &block.mixer {
        Mixer::ShortConv(conv) => Some(conv),
        _ => None,
    });
    let older = ["tie_embedding", "block_ff_dim", "full_attn_idxs", "rms_norm_eps", "hidden_act"];
    json.retain(|key, _| !older.contains(&key.as_str()));
    if let Some(conv) = conv {
        json.insert("conv_L_cache".into(), conv.taps.into());
        json.insert("conv_bias".into(), conv.bias.into());
    }
    json.insert("norm_eps".into(), config.norm_eps.into());
    json.insert("block_auto_adjust_ff_dim".into(), false.into());
    write_kinds(&config.layers, json, |block| if block.attention().is_some() { FULL } else { CONV });
}
