//! Model families: each file maps a `model_type` of Hugging Face onto the one transformer, and back. The
//! folder `keys` reads keys that several of them share.

use serde_json::{Map, Value};

use crate::block::{Activation, AttentionConfig, BlockConfig, BlockNorms, Mixer, MlpConfig, Names};
use crate::config::ModelConfig;
use crate::logit_config::LogitConfig;

#[cfg(test)]
mod claims;
mod ernie4_5;
mod exaone4;
mod gemma;
mod glm4;
mod granite;
mod granite_hybrid;
mod hunyuan;
mod keys;
mod lfm2;
mod llama;
mod ministral3;
mod mistral;
mod olmo2;
mod olmo3;
mod olmoe;
mod phi3;
mod qwen2;
mod qwen3;
mod qwen3_5;
mod qwen3_moe;
mod smollm3;
#[cfg(test)]
mod tests;

pub(crate) use keys::text_config;
use keys::{Defaults, Fields, RopeDialect, experts, layer_kinds, rope, rope_kinds, window};

/// Maps a family of published models onto the transformer.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// `model_type` in `config.json`.
    pub model_type: &'static str,
    /// Name of the class that `transformers` loads.
    pub architecture: &'static str,
    /// Places and names of a block's norms.
    norms: BlockNorms,
    /// Defaults of `transformers` for keys that a file leaves out.
    defaults: Defaults,
    /// Reads the differences from Llama into a configuration.
    read: fn(&Fields<'_>, &mut ModelConfig) -> Result<(), String>,
    /// Writes these differences back.
    write: fn(&ModelConfig, &mut Map<String, Value>),
}

/// Keys that describe the files of the base. A saved model has f32 weights in one file and no code, so they
/// are left out.
const OF_OTHER_FILES: [&str; 5] =
    ["torch_dtype", "quantization_config", "compression_config", "transformers_weights", "auto_map"];

/// Lists all families. A new one is a file and an entry here.
pub const FAMILIES: &[Family] = &[
    llama::LLAMA,
    qwen2::QWEN2,
    qwen3::QWEN3,
    mistral::MISTRAL,
    olmo2::OLMO2,
    olmo3::OLMO3,
    gemma::GEMMA2,
    gemma::GEMMA3,
    smollm3::SMOLLM3,
    granite::GRANITE,
    phi3::PHI3,
    exaone4::EXAONE4,
    glm4::GLM4,
    ministral3::MINISTRAL3,
    hunyuan::HUNYUAN,
    lfm2::LFM2,
    qwen3_5::QWEN3_5,
    granite_hybrid::GRANITE_HYBRID,
    qwen3_moe::QWEN3_MOE,
    olmoe::OLMOE,
    ernie4_5::ERNIE4_5,
];

impl Family {
    /// Returns the family of a `model_type`.
    pub fn named(model_type: &str) -> Result<Self, String> {
        FAMILIES.iter().copied().find(|family| family.model_type == model_type).ok_or_else(|| {
            let known: Vec<_> = FAMILIES.iter().map(|family| family.model_type).collect();
            format!(
                "model_type = \"{model_type}\" is not supported\n  hint: supported are {}",
                known.join(", ")
            )
        })
    }

    /// Reads `config.json`. An absent key has the default of `transformers`.
    pub fn read(&self, json: &Map<String, Value>) -> Result<ModelConfig, String> {
        let (fields, defaults) = (Fields(json), &self.defaults);
        let hidden_size = fields.size_or("hidden_size", defaults.hidden_size)?;
        let query = fields.size_or("num_attention_heads", defaults.query)?;
        let max_position = fields.size_or("max_position_embeddings", defaults.max_position)?;
        let num_layers = fields.size_or("num_hidden_layers", defaults.layers)?;
        ModelConfig::check_layers(num_layers)?;
        let key_value_heads =
            fields.present_size("num_key_value_heads", defaults.key_value)?.unwrap_or(query);
        let head_dim = match fields.optional_size("head_dim")?.or(defaults.head_dim) {
            Some(dim) => dim,
            None => hidden_size / query.max(1),
        };
        let mut attention = AttentionConfig::new(query, key_value_heads, head_dim);
        if !defaults.ropes_by_kind {
            attention.rope = rope::read(&fields, defaults, head_dim, max_position)?;
        }
        let mlp = MlpConfig {
            width: fields.size_or("intermediate_size", defaults.intermediate_size)?,
            bias: false,
            activation: self.activation(&fields)?,
            fused: false,
            experts: None,
        };
        let (norms, mixer) = (self.norms, Mixer::Attention(attention));
        let block = BlockConfig { norms, mixer, mlp, residual_scale: 1.0, names: Names::COMMON };
        let mut config = ModelConfig {
            vocab_size: fields.size_or("vocab_size", defaults.vocab_size)?,
            hidden_size,
            layers: vec![block; num_layers],
            max_position,
            norm_eps: fields.number("rms_norm_eps")?.unwrap_or(defaults.norm_eps),
            norms_less_one: false,
            embedding_scale: 1.0,
            logits: LogitConfig::default(),
            tied_embeddings: fields.flag("tie_word_embeddings")?.unwrap_or(defaults.tied),
        };
        (self.read)(&fields, &mut config)?;
        config.check()?;
        Ok(config)
    }

    fn activation(&self, fields: &Fields<'_>) -> Result<Activation, String> {
        let key = self.defaults.activation_key;
        match fields.text(key)? {
            None => Ok(self.defaults.activation),
            Some("silu" | "swish") => Ok(Activation::Silu),
            Some("gelu_pytorch_tanh") => Ok(Activation::GeluTanh),
            Some(other) => {
                Err(format!("{key} = \"{other}\" is not supported (only silu and gelu_pytorch_tanh)"))
            }
        }
    }

    /// Writes `config.json` over the folder's earlier one (empty for a new model). A folder with images or
    /// sound becomes one of its text model.
    pub fn write(&self, config: &ModelConfig, before: &Map<String, Value>) -> Map<String, Value> {
        let mut json = text_config(before);
        let attention = config.first_attention();
        let activation = match config.layers[0].mlp.activation {
            Activation::Silu => "silu",
            Activation::GeluTanh => "gelu_pytorch_tanh",
        };
        for (key, value) in [
            ("model_type", Value::from(self.model_type)),
            ("architectures", Value::from(vec![self.architecture])),
            ("vocab_size", config.vocab_size.into()),
            ("hidden_size", config.hidden_size.into()),
            ("num_hidden_layers", config.layers.len().into()),
            ("num_attention_heads", attention.query_heads.into()),
            ("num_key_value_heads", attention.key_value_heads.into()),
            ("head_dim", attention.head_dim.into()),
            (self.defaults.activation_key, activation.into()),
            ("max_position_embeddings", config.max_position.into()),
            ("rms_norm_eps", config.norm_eps.into()),
            ("tie_word_embeddings", config.tied_embeddings.into()),
            ("dtype", "float32".into()),
        ] {
            json.insert(key.into(), value);
        }
        // Files of models whose layers all have experts may name a width that no layer has.
        if let Some(block) = config.layers.iter().find(|block| block.mlp.experts.is_none()) {
            json.insert("intermediate_size".into(), block.mlp.width.into());
        }
        json.retain(|key, _| !OF_OTHER_FILES.contains(&key.as_str()));
        if !self.defaults.ropes_by_kind {
            rope::write(config, &self.defaults, &mut json);
        }
        (self.write)(config, &mut json);
        json
    }
}
