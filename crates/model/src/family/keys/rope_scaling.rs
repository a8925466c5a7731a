//! The object of a `config.json` that stretches positions.

use serde_json::{Value, json};

use super::Fields;
use super::defaults::{Defaults, RopeDialect};
use crate::rope_config::{LongRope, RopeScaling, Yarn};

/// The context of pre-training.
pub(in crate::family) const ORIGINAL: &str = "original_max_position_embeddings";

/// Spells a scaling as a file does.
pub(in crate::family) fn spelled(scaling: &RopeScaling) -> Value {
    match scaling {
        RopeScaling::Linear { factor } => json!({"rope_type": "linear", "factor": factor}),
        RopeScaling::Dynamic { factor, .. } => json!({"rope_type": "dynamic", "factor": factor}),
        RopeScaling::FixedNtk { alpha } => json!({"rope_type": "dynamic", "alpha": alpha, "factor": 1.0}),
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
        RopeScaling::LongRope(long) => json!({
            "rope_type": "longrope",
            "short_factor": long.short,
            "long_factor": long.long,
            "attention_factor": long.attention_factor,
            ORIGINAL: long.original_max_position,
        }),
    }
}

/// Holds the object, and the file around it.
pub(in crate::family) struct Scaling<'a> {
    pub(in crate::family) fields: &'a Fields<'a>,
    pub(in crate::family) inner: Fields<'a>,
    pub(in crate::family) defaults: &'a Defaults,
    pub(in crate::family) max_position: usize,
}

impl Scaling<'_> {
    pub(in crate::family) fn read(&self) -> Result<Option<RopeScaling>, String> {
        let inner = &self.inner;
        let kind = match inner.text("rope_type")? {
            Some(kind) => kind,
            None => inner.text("type")?.unwrap_or("default"),
        };
        let need =
            |key: &str| inner.number(key)?.ok_or_else(|| format!("rope scaling \"{kind}\" lacks {key}"));
        let dialect = self.defaults.rope_dialect;
        let alpha = inner.number("alpha")?.filter(|alpha| *alpha != 0.0);
        Ok(Some(match kind {
            "default" => return Ok(None),
            "su" | "yarn" if dialect == RopeDialect::Phi3 => RopeScaling::LongRope(self.long_rope()?),
            "longrope" => RopeScaling::LongRope(self.long_rope()?),
            "dynamic" if dialect == RopeDialect::Hunyuan && alpha.is_some() => {
                RopeScaling::FixedNtk { alpha: alpha.unwrap_or(1.0) }
            }
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
                    "rope scaling \"{other}\" is not supported\n  hint: supported are default, linear, dynamic, yarn, llama3, longrope"
                ));
            }
        }))
    }

    /// Returns the context of pre-training: next to the settings, among them, or the file's own.
    fn original_max_position(&self) -> Result<usize, String> {
        let inner = self.inner.optional_size(ORIGINAL)?;
        let beside = match self.defaults.rope_dialect {
            RopeDialect::Phi3 => Some(4096),
            RopeDialect::Common | RopeDialect::Hunyuan => None,
        };
        Ok(self.fields.optional_size(ORIGINAL)?.or(beside).or(inner).unwrap_or(self.max_position))
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

    /// Reads LongRoPE. An absent factor of attention is that of the paper, as in `transformers`.
    fn long_rope(&self) -> Result<LongRope, String> {
        let (inner, original_max_position) = (&self.inner, self.original_max_position()?);
        let divisors = |key: &str| -> Result<Vec<f64>, String> {
            let list = inner.list(key)?.ok_or_else(|| format!("rope scaling \"longrope\" lacks {key}"))?;
            let number =
                |value: &Value| value.as_f64().ok_or_else(|| format!("{key}: {value} is not a number"));
            list.iter().map(number).collect()
        };
        let original = original_max_position.max(2) as f64;
        let factor = match inner.number("factor")? {
            Some(factor) => factor,
            None => self.max_position as f64 / original,
        };
        let inferred = if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / original.ln()).sqrt() };
        Ok(LongRope {
            short: divisors("short_factor")?,
            long: divisors("long_factor")?,
            original_max_position,
            attention_factor: inner.number("attention_factor")?.unwrap_or(inferred),
        })
    }
}
