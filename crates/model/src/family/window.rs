//! Which layers of Qwen's families have a sliding window: all of them or none.

use serde_json::{Map, Value};

use super::Fields;

/// The window of every layer, none without one. Layers are told by `layer_types`, else by `max_window_layers`.
pub(super) fn read(fields: &Fields<'_>, layers: usize) -> Result<Option<usize>, String> {
    let window = match fields.flag("use_sliding_window")? {
        Some(true) => fields.present_size("sliding_window", Some(4096))?,
        _ => None,
    };
    let sliding = match fields.list("layer_types")? {
        Some(kinds) => {
            if kinds.len() != layers {
                return Err(format!("layer_types names {} layers of {layers}", kinds.len()));
            }
            let unknown =
                |kind: &&Value| !matches!(kind.as_str(), Some("full_attention" | "sliding_attention"));
            if let Some(kind) = kinds.iter().find(unknown) {
                return Err(format!("layer_types: {kind} is not supported"));
            }
            kinds.iter().filter(|kind| kind.as_str() == Some("sliding_attention")).count()
        }
        None if window.is_some() => layers.saturating_sub(fields.size_or("max_window_layers", 28)?),
        None => 0,
    };
    match (sliding, window) {
        (0, _) => Ok(None),
        (_, None) => Err("layer_types: sliding_attention lacks use_sliding_window and sliding_window".into()),
        (all, Some(window)) if all == layers => Ok(Some(window)),
        (some, Some(_)) => Err(format!(
            "use_sliding_window = true for {some} of {layers} layers is not supported (only for all or none)"
        )),
    }
}

/// Writes the window of every layer.
pub(super) fn write(window: Option<usize>, json: &mut Map<String, Value>) {
    json.insert("use_sliding_window".into(), window.is_some().into());
    if let Some(window) = window {
        json.insert("sliding_window".into(), window.into());
        json.insert("max_window_layers".into(), 0.into());
        json.remove("layer_types");
    }
}
