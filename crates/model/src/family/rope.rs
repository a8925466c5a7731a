//! RoPE settings of a `config.json` in both spellings: `rope_theta` with `rope_scaling`, or
//! `rope_parameters`.

use serde_json::{Map, Value, json};

use super::Fields;
use crate::config::ModelConfig;
use crate::rope_config::{RopeConfig, RopeScaling, Yarn};

/// The context of pre-training.
const ORIGINAL: &str = "original_max_position_embeddings";

/// Reads the settings. If a file has both spellings, `rope_scaling` holds, as in `transformers`.
pub(super) fn read(fields: &Fields<'_>, max_position: usize) -> Result<RopeConfig, String> {
    let spelling = |key: &str| -> Result<Option<&Map<String, Value>>, String> {
        Ok(fields.object(key)?.filter(|object| !object.is_empty()))
    };
    let (scaling, parameters) = (spelling("rope_scaling")?, spelling("rope_parameters")?);
    for object in [Some(fields.0), scaling, parameters].into_iter().flatten() {
        if let Some(part) = Fields(object).number("partial_rotary_factor")?.filter(|&part| part != 1.0) {
            return Err(format!("partial_rotary_factor = {part} is not supported (only 1)"));
        }
    }
    let inner = scaling.or(parameters);
    if let Some((key, _)) = inner.into_iter().flatten().find(|(_, value)| value.is_object()) {
        return Err(format!("rope_parameters.{key}: settings by the kind of layer are not supported"));
    }
    let inner = inner.map(Fields);
    let theta = match inner.as_ref().map(|inner| inner.number("rope_theta")).transpose()?.flatten() {
        Some(theta) => theta,
        None => fields.number("rope_theta")?.unwrap_or(10_000.0),
    };
    let scaling = inner.map(|inner| Scaling { fields, inner, max_position }.read()).transpose()?.flatten();
    Ok(RopeConfig { theta, scaling })
}

/// Writes the settings in the older spelling, unless the file's own mean the same.
pub(super) fn write(config: &ModelConfig, json: &mut Map<String, Value>) {
    let rope = &config.layers[0].attention.rope;
    let RopeConfig { theta, scaling } = rope;
    if !read(&Fields(json), config.max_position).is_ok_and(|before| before == *rope) {
        let keys = ["rope_parameters", "rope_scaling", ORIGINAL];
        json.retain(|key, _| !keys.contains(&key.as_str()));
        if let Some(scaling) = scaling {
            json.insert("rope_scaling".into(), spelled(scaling));
        }
    }
    if !json.contains_key("rope_parameters") {
        json.insert("rope_theta".into(), (*theta).into());
    }
}

fn spelled(scaling: &RopeScaling) -> Value {
    match scaling {
        RopeScaling::Linear { factor } => json!({"rope_type": "linear", "factor": factor}),
        RopeScaling::Dynamic { factor, .. } => json!({"rope_type": "dynamic", "factor": factor}),
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position } => json!({
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": low_freq_factor,
            "high_freq_factor": high_freq_factor,
            ORIGINAL: original_max_position,
        }),
        RopeScaling::Yarn(yarn) => json!({
            "rope_type": "yarn",
            "factor": yarn.factor,
            "beta_fast": yarn.beta_fast,
            "beta_slow": yarn.beta_slow,
            ORIGINAL: yarn.original_max_position,
            "attention_factor": yarn.attention_factor,
            "truncate": yarn.truncate,
        }),
    }
}

/// The object that stretches positions.
struct Scaling<'a> {
    fields: &'a Fields<'a>,
    inner: Fields<'a>,
    max_position: usize,
}

impl Scaling<'_> {
    fn read(&self) -> Result<Option<RopeScaling>, String> {
        let inner = &self.inner;
        let kind = match inner.text("rope_type")? {
            Some(kind) => kind,
            None => inner.text("type")?.unwrap_or("default"),
        };
        let need =
            |key: &str| inner.number(key)?.ok_or_else(|| format!("rope scaling \"{kind}\" lacks {key}"));
        Ok(Some(match kind {
            "default" => return Ok(None),
            "linear" => RopeScaling::Linear { factor: need("factor")? },
            "dynamic" => {
                RopeScaling::Dynamic { factor: need("factor")?, original_max_position: self.max_position }
            }
            "yarn" => RopeScaling::Yarn(self.yarn()?),
            "llama3" => RopeScaling::Llama3 {
                factor: need("factor")?,
                low_freq_factor: need("low_freq_factor")?,
                high_freq_factor: need("high_freq_factor")?,
                original_max_position: self.original_max_position()?,
            },
            other => {
                return Err(format!(
                    "rope scaling \"{other}\" is not supported\n  hint: supported are default, linear, dynamic, yarn, llama3"
                ));
            }
        }))
    }

    /// Returns the context of pre-training: next to the settings, among them, or the file's own.
    fn original_max_position(&self) -> Result<usize, String> {
        let inner = self.inner.optional_size(ORIGINAL)?;
        Ok(self.fields.optional_size(ORIGINAL)?.or(inner).unwrap_or(self.max_position))
    }

    /// Reads YaRN. Absent keys have the paper's values, as in `transformers`.
    fn yarn(&self) -> Result<Yarn, String> {
        let inner = &self.inner;
        let original_max_position = self.original_max_position()?;
        let ratio = self.max_position as f64 / original_max_position.max(1) as f64;
        let factor = inner.number("factor")?.unwrap_or(ratio);
        let gain = |mscale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * mscale * factor.ln() + 1.0 };
        let set = |key: &str| Ok::<_, String>(inner.number(key)?.filter(|&value| value != 0.0));
        let inferred = match (set("mscale")?, set("mscale_all_dim")?) {
            (Some(mscale), Some(all_dim)) => gain(mscale) / gain(all_dim),
            _ => gain(1.0),
        };
        Ok(Yarn {
            factor,
            beta_fast: set("beta_fast")?.unwrap_or(32.0),
            beta_slow: set("beta_slow")?.unwrap_or(1.0),
            original_max_position,
            attention_factor: inner.number("attention_factor")?.unwrap_or(inferred),
            truncate: inner.flag("truncate")?.unwrap_or(true),
        })
    }
}
