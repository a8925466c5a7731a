//! The layers of a model that have a sliding window.

use serde_json::{Map, Value};

use super::Fields;
use super::layer_kinds::{self, kinds};
use crate::block::BlockConfig;

pub(in crate::family) const FULL: &str = "full_attention";
pub(in crate::family) const SLIDING: &str = "sliding_attention";

/// Sets the window of every layer of Qwen's families. `layer_types` lists the layers with one; without it,
/// `max_window_layers` is the first of them.
pub(in crate::family) fn read(fields: &Fields<'_>, layers: &mut [BlockConfig]) -> Result<(), String> {
    let window = match fields.flag("use_sliding_window")? {
        Some(true) => fields.present_size("sliding_window", Some(4096))?,
        _ => None,
    };
    let sliding = match listed(fields, layers.len())? {
        Some(sliding) => sliding,
        None if window.is_some() => {
            let first = fields.size_or("max_window_layers", 28)?;
            (0..layers.len()).map(|layer| layer >= first).collect()
        }
        None => return Ok(()),
    };
    if window.is_none() && sliding.contains(&true) {
        return Err(format!("layer_types: {SLIDING} lacks use_sliding_window and sliding_window"));
    }
    set(layers, &sliding, window);
    Ok(())
}

/// Sets the window of every layer that `layer_types` names or, without the list, that `default` accepts.
/// Returns these layers.
pub(in crate::family) fn read_kinds(
    fields: &Fields<'_>,
    layers: &mut [BlockConfig],
    window: Option<usize>,
    default: impl Fn(usize) -> bool,
) -> Result<Vec<bool>, String> {
    let sliding = match listed(fields, layers.len())? {
        Some(sliding) => sliding,
        None => (0..layers.len()).map(default).collect(),
    };
    if window.is_none() && sliding.contains(&true) {
        return Err(format!("layer_types: {SLIDING} lacks sliding_window"));
    }
    set(layers, &sliding, window);
    Ok(sliding)
}

/// Returns whether each layer of `layer_types` has a window; none if the file has no such list.
pub(in crate::family) fn listed(fields: &Fields<'_>, layers: usize) -> Result<Option<Vec<bool>>, String> {
    kinds(fields, layers, [SLIDING, FULL])
}

fn set(layers: &mut [BlockConfig], sliding: &[bool], window: Option<usize>) {
    for (block, sliding) in layers.iter_mut().zip(sliding) {
        if let Some(attention) = block.attention_mut() {
            attention.window = window.filter(|_| *sliding);
        }
    }
}

/// Writes the window of every layer of Qwen's families.
pub(in crate::family) fn write(layers: &[BlockConfig], json: &mut Map<String, Value>) {
    let window = window(layers);
    json.insert("use_sliding_window".into(), window.is_some().into());
    if let Some(window) = window {
        let first = layers.iter().position(has_window);
        json.insert("sliding_window".into(), window.into());
        json.insert("max_window_layers".into(), first.into());
        write_kinds(layers, json);
    }
}

/// Writes which layers have a window.
pub(in crate::family) fn write_kinds(layers: &[BlockConfig], json: &mut Map<String, Value>) {
    layer_kinds::write_kinds(layers, json, |block| if has_window(block) { SLIDING } else { FULL });
}

/// Returns the window of the layers that have one.
pub(in crate::family) fn window(layers: &[BlockConfig]) -> Option<usize> {
    layers.iter().find_map(|block| block.attention()?.window)
}

pub(in crate::family) fn has_window(block: &BlockConfig) -> bool {
    block.attention().is_some_and(|attention| attention.window.is_some())
}
