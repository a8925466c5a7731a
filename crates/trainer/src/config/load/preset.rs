//! `preset = "trl"`: the conventions of a public implementation, as a layer under all others.

use toml::de::{DeTable, DeValue};
use turnwise_rl::{AdvantageConfig, LossConfig, Preset};

use super::ConfigError;
use super::layers::{Source, variant};
use super::nearest::nearest;

/// The key that names one.
pub(super) const KEY: &str = "preset";

/// Name and text of the layer that the merged `table` asks for. It fits the estimator and the loss chosen there;
/// `turnwise score` has no loss and takes the estimator's part.
pub(super) fn layer(
    sources: &[Source],
    table: &DeTable<'_>,
) -> Result<Option<(String, String)>, ConfigError> {
    let Some(value) = table.get(KEY) else { return Ok(None) };
    let span = value.span();
    let place = || sources.iter().find(|source| source.holds(&span)).map(|source| source.place(&span));
    let wrong = |message: String| ConfigError::new(place().unwrap_or_default(), message);
    let known = || format!("known here are {}", Preset::NAMES.join(", "));
    let DeValue::String(name) = value.get_ref() else {
        return Err(wrong(format!("`{KEY}` is not a name")).hint(known()));
    };
    let Some(preset) = Preset::named(name) else {
        let hint = nearest(name, Preset::NAMES.iter().copied());
        let hint = hint.map_or_else(known, |near| format!("did you mean `{near}`?"));
        return Err(wrong(format!("unknown preset `{name}`")).hint(hint));
    };
    // A name that nobody knows is left to the layer that wrote it, where it is an error.
    let chosen = |key: &str, known: &[&'static str], default: &'static str| {
        let named = table.get(key).and_then(|choice| variant(choice.get_ref()));
        known.iter().copied().find(|name| named == Some(name)).unwrap_or(default)
    };
    let advantage = chosen("advantage", AdvantageConfig::NAMES, AdvantageConfig::default().name());
    let mut text = preset.advantage_layer(advantage);
    if table.contains_key("model") {
        let loss = chosen("loss", LossConfig::NAMES, LossConfig::default().name());
        text.push_str(&preset.loss_layer(loss));
    }
    Ok(Some((format!("{KEY} {name}"), text)))
}
