//! Model families: each file maps one `model_type` of Hugging Face onto the one transformer, and back.

use serde_json::{Map, Value};

use crate::block::{AttentionConfig, BlockConfig, BlockNorms, MlpConfig};
use crate::config::ModelConfig;

mod fields;
mod llama;
mod mistral;
mod olmo2;
mod qwen2;
mod qwen3;
mod rope;
#[cfg(test)]
mod tests;
mod window;

use fields::Fields;

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

/// Defaults that differ between families; [`Family::read`] has the others.
#[derive(Debug, Clone, Copy)]
struct Defaults {
    vocab_size: usize,
    intermediate_size: usize,
    /// Key/value heads; unset, the number of query heads.
    key_value: Option<usize>,
    /// Size of a head; unset, `hidden_size / num_attention_heads`.
    head_dim: Option<usize>,
    max_position: usize,
    norm_eps: f64,
}

/// Keys that describe the files of the base. A saved model has f32 weights in one file and no code, so they
/// are left out.
const OF_OTHER_FILES: [&str; 5] =
    ["torch_dtype", "quantization_config", "compression_config", "transformers_weights", "auto_map"];

/// Lists all families. A new one is a file and an entry here.
pub const FAMILIES: [Family; 5] = [llama::LLAMA, qwen2::QWEN2, qwen3::QWEN3, mistral::MISTRAL, olmo2::OLMO2];

impl Family {
    /// Returns the family of a `model_type`.
    pub fn named(model_type: &str) -> Result<Self, String> {
        FAMILIES.into_iter().find(|family| family.model_type == model_type).ok_or_else(|| {
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
        let hidden_size = fields.size_or("hidden_size", 4096)?;
        let query = fields.size_or("num_attention_heads", 32)?;
        if let Some(act) = fields.text("hidden_act")?.filter(|act| *act != "silu") {
            return Err(format!("hidden_act = \"{act}\" is not supported (only silu)"));
        }
        let max_position = fields.size_or("max_position_embeddings", defaults.max_position)?;
        let num_layers = fields.size_or("num_hidden_layers", 32)?;
        ModelConfig::check_layers(num_layers)?;
        let key_value_heads =
            fields.present_size("num_key_value_heads", defaults.key_value)?.unwrap_or(query);
        let head_dim = match fields.optional_size("head_dim")?.or(defaults.head_dim) {
            Some(dim) => dim,
            None => hidden_size / query.max(1),
        };
        let block = BlockConfig {
            norms: self.norms,
            attention: AttentionConfig {
                rope: rope::read(&fields, max_position)?,
                ..AttentionConfig::new(query, key_value_heads, head_dim)
            },
            mlp: MlpConfig {
                width: fields.size_or("intermediate_size", defaults.intermediate_size)?,
                bias: false,
            },
        };
        let mut config = ModelConfig {
            vocab_size: fields.size_or("vocab_size", defaults.vocab_size)?,
            hidden_size,
            layers: vec![block; num_layers],
            max_position,
            norm_eps: fields.number("rms_norm_eps")?.unwrap_or(defaults.norm_eps),
            tied_embeddings: fields.flag("tie_word_embeddings")?.unwrap_or(false),
        };
        (self.read)(&fields, &mut config)?;
        config.check()?;
        Ok(config)
    }

    /// Writes `config.json` over the folder's earlier one (empty for a new model).
    pub fn write(&self, config: &ModelConfig, before: &Map<String, Value>) -> Map<String, Value> {
        let mut json = before.clone();
        let BlockConfig { attention, mlp, .. } = &config.layers[0];
        for (key, value) in [
            ("model_type", Value::from(self.model_type)),
            ("architectures", Value::from(vec![self.architecture])),
            ("vocab_size", config.vocab_size.into()),
            ("hidden_size", config.hidden_size.into()),
            ("intermediate_size", mlp.width.into()),
            ("num_hidden_layers", config.layers.len().into()),
            ("num_attention_heads", attention.query_heads.into()),
            ("num_key_value_heads", attention.key_value_heads.into()),
            ("head_dim", attention.head_dim.into()),
            ("hidden_act", "silu".into()),
            ("max_position_embeddings", config.max_position.into()),
            ("rms_norm_eps", config.norm_eps.into()),
            ("tie_word_embeddings", config.tied_embeddings.into()),
            ("dtype", "float32".into()),
        ] {
            json.insert(key.into(), value);
        }
        json.retain(|key, _| !OF_OTHER_FILES.contains(&key.as_str()));
        rope::write(config, &mut json);
        (self.write)(config, &mut json);
        json
    }
}
