//! The experts that a file describes.

use serde_json::{Map, Value};

use super::Fields;
use crate::block::{BlockConfig, ExpertsConfig};

/// Names of the number of experts in the spellings of transformers 4 and 5.
const COUNT: [&str; 2] = ["num_experts", "num_local_experts"];

/// Reads the experts of a layer. `count` and `chosen` are the family's defaults.
pub(in crate::family) fn read(
    fields: &Fields<'_>,
    count: usize,
    chosen: usize,
) -> Result<ExpertsConfig, String> {
    let count = match COUNT.map(|key| fields.optional_size(key)) {
        [Ok(Some(older)), Ok(Some(newer))] if older != newer => {
            return Err(format!("{} = {older} and {} = {newer} differ", COUNT[0], COUNT[1]));
        }
        [older, newer] => older?.or(newer?).unwrap_or(count),
    };
    let chosen = fields.size_or("num_experts_per_tok", chosen)?;
    Ok(ExpertsConfig { count, chosen, normalised: fields.flag("norm_topk_prob")?.unwrap_or(false) })
}

/// Writes the experts of the first layer that has them. Both versions of `transformers` read this spelling.
pub(in crate::family) fn write(layers: &[BlockConfig], json: &mut Map<String, Value>) {
    json.retain(|key, _| !COUNT.contains(&key.as_str()));
    let Some(experts) = layers.iter().find_map(|block| block.mlp.experts) else {
        json.insert(COUNT[0].into(), 0.into());
        return;
    };
    json.insert(COUNT[0].into(), experts.count.into());
    json.insert("num_experts_per_tok".into(), experts.chosen.into());
    json.insert("norm_topk_prob".into(), experts.normalised.into());
}
