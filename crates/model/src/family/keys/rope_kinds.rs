//! RoPE settings by the kind of layer: one set for layers with a window, one for the others.

use serde_json::{Map, Value, json};

use super::rope_scaling::{Scaling, spelled};
use super::window::{FULL, SLIDING};
use super::{Defaults, Fields};
use crate::config::ModelConfig;
use crate::rope_config::RopeConfig;

/// Describes the base of layers with a window.
#[derive(Clone, Copy)]
pub(in crate::family) struct LocalTheta {
    /// Its key in the older spelling, if it has one.
    pub(in crate::family) key: Option<&'static str>,
    pub(in crate::family) default: f64,
}

/// Reads the settings and gives them to the layers. In the older spelling `rope_scaling` holds for layers
/// without a window alone.
pub(in crate::family) fn read(
    fields: &Fields<'_>,
    defaults: &Defaults,
    local: LocalTheta,
    config: &mut ModelConfig,
    sliding: &[bool],
) -> Result<(), String> {
    let max_position = config.max_position;
    let parameters = fields.object("rope_parameters")?;
    if let Some((key, _)) = parameters.into_iter().flatten().find(|(_, value)| {
        // Settings that hold for all layers.
        !value.is_object() && !value.is_null()
    }) {
        return Err(format!("rope_parameters.{key}: this family has settings by the kind of layer"));
    }
    let of = |kind: &str| -> Result<Map<String, Value>, String> {
        let inner = parameters.map(|all| Fields(all).object(kind)).transpose()?.flatten();
        let mut inner = inner.cloned().unwrap_or_default();
        if kind == FULL {
            inner.extend(fields.object("rope_scaling")?.cloned().unwrap_or_default());
        }
        Ok(inner)
    };
    let rope = |kind: &str, theta: Option<f64>, default: f64| -> Result<RopeConfig, String> {
        let inner = of(kind)?;
        let inner = Fields(&inner);
        if let Some(part) = inner.number("partial_rotary_factor")?.filter(|part| *part != 1.0) {
            return Err(format!("partial_rotary_factor = {part} is not supported (only 1)"));
        }
        let theta = inner.number("rope_theta")?.or(theta).unwrap_or(default);
        let scaling = Scaling { fields, inner, defaults, max_position }.read()?;
        let rotated = config.first_attention().head_dim;
        Ok(RopeConfig { scaling, ..RopeConfig::new(rotated, theta) })
    };
    let local_theta = local.key.map(|key| fields.number(key)).transpose()?.flatten();
    let full = rope(FULL, fields.number("rope_theta")?, defaults.theta)?;
    let windowed = rope(SLIDING, local_theta, local.default)?;
    for (attention, sliding) in config.attentions_mut().zip(sliding) {
        attention.rope = if *sliding { windowed.clone() } else { full.clone() };
    }
    Ok(())
}

/// Writes the settings in the newer spelling, unless `same` says that the file's own mean the same.
pub(in crate::family) fn write(
    config: &ModelConfig,
    json: &mut Map<String, Value>,
    same: impl Fn(&Map<String, Value>) -> bool,
) {
    if same(json) {
        return;
    }
    let mut kinds = Map::new();
    for (kind, windowed) in [(FULL, false), (SLIDING, true)] {
        if let Some(attention) = config.attentions().find(|one| one.window.is_some() == windowed) {
            let rope = &attention.rope;
            let mut settings = rope.scaling.as_ref().map_or_else(|| json!({"rope_type": "default"}), spelled);
            settings["rope_theta"] = rope.theta.into();
            kinds.insert(kind.into(), settings);
        }
    }
    let keys = ["rope_scaling", "rope_theta", "rope_local_base_freq"];
    json.retain(|key, _| !keys.contains(&key.as_str()));
    json.insert("rope_parameters".into(), kinds.into());
}
