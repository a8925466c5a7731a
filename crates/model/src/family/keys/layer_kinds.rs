//! The layers of a model that mix tokens by attention, and those that mix them in another way.

use serde_json::{Map, Value};

use super::Fields;
use crate::block::BlockConfig;

/// Returns whether each layer of `layer_types` is of the first kind; none if the file has no such list.
pub(in crate::family) fn kinds(
    fields: &Fields<'_>,
    layers: usize,
    [first, second]: [&str; 2],
) -> Result<Option<Vec<bool>>, String> {
    let Some(kinds) = fields.list("layer_types")? else { return Ok(None) };
    if kinds.len() != layers {
        return Err(format!("layer_types names {} layers of {layers}", kinds.len()));
    }
    let is_first = |kind: &Value| match kind.as_str() {
        Some(kind) if kind == first => Ok(true),
        Some(kind) if kind == second => Ok(false),
        _ => Err(format!("layer_types: {kind} is not supported")),
    };
    kinds.iter().map(is_first).collect::<Result<_, _>>().map(Some)
}

/// Writes the kind of every layer.
pub(in crate::family) fn write_kinds(
    layers: &[BlockConfig],
    json: &mut Map<String, Value>,
    kind: impl Fn(&BlockConfig) -> &'static str,
) {
    json.insert("layer_types".into(), layers.iter().map(kind).collect::<Vec<_>>().into());
}
