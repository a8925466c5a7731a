//! The layers of Qwen's families that have a sliding window.

use serde_json::{Map, Value};

use super::Fields;
use crate::block::BlockConfig;

const FULL: &str = "full_attention";
const SLIDING: &str = "sliding_attention";

/// Sets the window of every layer. `layer_types` lists the layers with one; without it, `max_window_layers`
/// is the first of them.
pub(super) fn read(fields: &Fields<'_>, layers: &mut [BlockConfig]) -> Result<(), String> {
    let window = match fields.flag("use_sliding_window")? {
        Some(true) => fields.present_size("sliding_window", Some(4096))?,
        _ => None,
    };
    let sliding: Vec<bool> = match fields.list("layer_types")? {
        Some(kinds) if kinds.len() != layers.len() => {
            return Err(format!("layer_types names {} layers of {}", kinds.len(), layers.len()));
        }
        Some(kinds) => kinds.iter().map(is_sliding).collect::<Result<_, _>>()?,
        None if window.is_some() => {
            let first = fields.size_or("max_window_layers", 28)?;
            (0..layers.len()).map(|layer| layer >= first).collect()
        }
        None => return Ok(()),
    };
    if window.is_none() && sliding.contains(&true) {
        return Err(format!("layer_types: {SLIDING} lacks use_sliding_window and sliding_window"));
    }
    for (block, sliding) in layers.iter_mut().zip(sliding) {
        block.attention.window = window.filter(|_| sliding);
    }
    Ok(())
}

fn is_sliding(kind: &Value) -> Result<bool, String> {
    match kind.as_str() {
        Some(FULL) => Ok(false),
        Some(SLIDING) => Ok(true),
        _ => Err(format!("layer_types: {kind} is not supported")),
    }
}

/// Writes the window of every layer.
pub(super) fn write(layers: &[BlockConfig], json: &mut Map<String, Value>) {
    let window = layers.iter().find_map(|block| block.attention.window);
    json.insert("use_sliding_window".into(), window.is_some().into());
    if let Some(window) = window {
        let kinds = layers.iter().map(|block| if block.attention.window.is_some() { SLIDING } else { FULL });
        let first = layers.iter().position(|block| block.attention.window.is_some());
        json.insert("sliding_window".into(), window.into());
        json.insert("max_window_layers".into(), first.into());
        json.insert("layer_types".into(), kinds.collect::<Vec<_>>().into());
    }
}
