//! `preset = "trl"`: the conventions of a public implementation, as a layer under all others.

use turnwise_rl::{AdvantageConfig, LossConfig, Preset as Convention};
use turnwise_runfile::{Layers, Preset};

/// The presets of a run file. One fits the estimator and the loss that the file chooses; `turnwise score` has no loss
/// and takes the estimator's part.
pub(super) const PRESETS: Preset<'static> = Preset { key: "preset", names: Convention::NAMES, text: &text };

fn text(name: &str, layers: &Layers) -> String {
    let preset = Convention::named(name).expect("only known names are asked for");
    // A name that nobody knows is left to the layer that wrote it, where it is an error.
    let chosen = |key: &str, known: &[&'static str], default: &'static str| {
        let named = layers.variant(key);
        known.iter().copied().find(|name| named.as_deref() == Some(name)).unwrap_or(default)
    };
    let advantage = chosen("advantage", AdvantageConfig::NAMES, AdvantageConfig::default().name());
    let mut text = preset.advantage_layer(advantage);
    if layers.has("model") {
        let loss = chosen("loss", LossConfig::NAMES, LossConfig::default().name());
        text.push_str(&preset.loss_layer(loss));
    }
    text
}
