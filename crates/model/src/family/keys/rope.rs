//! RoPE settings of a `config.json` in both spellings: `rope_theta` with `rope_scaling`, or
//! `rope_parameters`.

use serde_json::{Map, Value, json};

use super::defaults::RopeDialect;
use super::rope_scaling::{ORIGINAL, Scaling, spelled};
use super::{Defaults, Fields};
use crate::config::ModelConfig;
use crate::rope_config::{QueryGrowth, RopeConfig, RopeScaling};

/// The key of the part of a head that is rotated.
const PART: &str = "partial_rotary_factor";
/// The key of the growth of queries.
const GROWTH: &str = "llama_4_scaling_beta";

/// Reads the settings. If a file has both spellings, `rope_scaling` holds, as in `transformers`.
pub(in crate::family) fn read(
    fields: &Fields<'_>,
    defaults: &Defaults,
    head_dim: usize,
    max_position: usize,
) -> Result<RopeConfig, String> {
    let spelling = |key: &str| -> Result<Option<&Map<String, Value>>, String> {
        Ok(fields.object(key)?.filter(|object| !object.is_empty()))
    };
    let (scaling, parameters) = (spelling("rope_scaling")?, spelling("rope_parameters")?);
    let inner = scaling.or(parameters);
    let part = if let Some(default) = defaults.rotated_part {
        let inner = inner.map(|inner| Fields(inner).number(PART)).transpose()?.flatten();
        inner.or(fields.number(PART)?).unwrap_or(default)
    } else {
        for object in [Some(fields.0), scaling, parameters].into_iter().flatten() {
            if let Some(part) = Fields(object).number(PART)?.filter(|&part| part != 1.0) {
                return Err(format!("{PART} = {part} is not supported (only 1)"));
            }
        }
        1.0
    };
    if !(part > 0.0 && part <= 1.0) {
        return Err(format!("{PART} = {part} is not above 0 and at most 1"));
    }
    if let Some((key, _)) = inner.into_iter().flatten().find(|(_, value)| value.is_object()) {
        return Err(format!("rope_parameters.{key}: settings by the kind of layer are not supported"));
    }
    let inner = inner.map(Fields);
    let theta = match inner.as_ref().map(|inner| inner.number("rope_theta")).transpose()?.flatten() {
        Some(theta) => theta,
        None => fields.number("rope_theta")?.unwrap_or(defaults.theta),
    };
    let query_growth = growth(inner.as_ref(), max_position)?;
    let scaling =
        inner.map(|inner| Scaling { fields, inner, defaults, max_position }.read()).transpose()?.flatten();
    let rotated = rotated(part, head_dim);
    if rotated == 0 {
        return Err(format!("{PART} = {part} is less than one number of a head of {head_dim}"));
    }
    Ok(RopeConfig { query_growth, scaling, ..RopeConfig::new(rotated, theta) })
}

/// Returns the numbers of a head that a part is. As in `transformers`, half numbers are cut off.
fn rotated(part: f64, head_dim: usize) -> usize {
    (head_dim as f64 * part) as usize
}

/// Returns the part that is read as this many numbers.
fn part(numbers: usize, head_dim: usize) -> f64 {
    let part = numbers as f64 / head_dim as f64;
    if rotated(part, head_dim) < numbers { part.next_up() } else { part }
}

fn growth(inner: Option<&Fields<'_>>, max_position: usize) -> Result<Option<QueryGrowth>, String> {
    let Some(inner) = inner else { return Ok(None) };
    let Some(beta) = inner.number(GROWTH)? else { return Ok(None) };
    Ok(Some(QueryGrowth { beta, period: inner.optional_size(ORIGINAL)?.unwrap_or(max_position) }))
}

/// Writes the settings in the older spelling, unless the file's own mean the same.
pub(in crate::family) fn write(config: &ModelConfig, defaults: &Defaults, json: &mut Map<String, Value>) {
    let BlockRope { rope, head_dim } = rotating(config);
    let RopeConfig { theta, scaling, query_growth, rotated, .. } = rope;
    let before = read(&Fields(json), defaults, head_dim, config.max_position);
    // Families add what the file doesn't say.
    let same = |before: &RopeConfig| RopeConfig { interleaved: rope.interleaved, ..before.clone() } == *rope;
    if !before.is_ok_and(|before| same(&before)) {
        let keys = ["rope_parameters", "rope_scaling", PART, ORIGINAL];
        json.retain(|key, _| !keys.contains(&key.as_str()));
        let is_phi3 = defaults.rope_dialect == RopeDialect::Phi3;
        if let Some(scaling) = scaling {
            json.insert("rope_scaling".into(), spelled(scaling));
            // Phi-3 reads the context of pre-training beside the settings, and never among them.
            let original = match scaling {
                RopeScaling::LongRope(long) => Some(long.original_max_position),
                RopeScaling::Yarn(yarn) if is_phi3 => Some(yarn.original_max_position),
                RopeScaling::Llama3 { original_max_position, .. } if is_phi3 => Some(*original_max_position),
                _ => None,
            };
            if let Some(original) = original {
                json.insert(ORIGINAL.into(), original.into());
            }
        }
        if let Some(growth) = query_growth {
            let inner = json.entry("rope_scaling").or_insert_with(|| json!({"rope_type": "default"}));
            inner[GROWTH] = growth.beta.into();
            inner[ORIGINAL] = growth.period.into();
        }
        if defaults.rotated_part.is_some() {
            json.insert(PART.into(), part(*rotated, head_dim).into());
        }
    }
    if !json.contains_key("rope_parameters") {
        json.insert("rope_theta".into(), (*theta).into());
    }
}

struct BlockRope<'a> {
    rope: &'a RopeConfig,
    head_dim: usize,
}

/// Returns the settings of the first layer that has positions.
fn rotating(config: &ModelConfig) -> BlockRope<'_> {
    let mut attentions = config.attentions();
    let rotated = attentions.find(|attention| attention.rope.rotated > 0);
    let attention = rotated.unwrap_or_else(|| config.first_attention());
    BlockRope { rope: &attention.rope, head_dim: attention.head_dim }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_as_the_numbers_that_it_was_written_for() {
        for head_dim in 1..600 {
            for numbers in 1..=head_dim {
                assert_eq!(rotated(part(numbers, head_dim), head_dim), numbers, "{numbers} of {head_dim}");
            }
        }
    }
}
