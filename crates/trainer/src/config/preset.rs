//! Lays `preset = "trl"`, the conventions of a public implementation, under all other layers.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use toml::Table;
use turnwise_credit::{AdvantageConfig, PRESETS, Preset};
use turnwise_loss::LossConfig;
use turnwise_runfile::{Layers, Presets};

/// Returns the presets of a run file. Each fits the estimator and the loss that the file chooses; `turnwise
/// score` has no loss and takes the estimator's part.
pub(super) fn presets() -> Presets<'static> {
    Presets { key: "preset", names: PRESETS.iter().map(|preset| preset.name).collect(), text: &text }
}

fn text(name: &str, layers: &Layers) -> String {
    let preset = PRESETS.iter().find(|preset| preset.name == name).expect("only known names are asked for");
    // An unknown name is an error in the layer that wrote it, not here.
    let chosen = |key: &str| layers.variant(key).unwrap_or_default();
    let advantage = AdvantageConfig::named(&chosen("advantage")).unwrap_or_default();
    let mut text = keys_of(preset, "advantage", &advantage);
    if layers.has("model") {
        text += &keys_of(preset, "loss", &LossConfig::named(&chosen("loss")).unwrap_or_default());
    }
    text
}

/// Returns the preset's keys for one choice as TOML: those that the variant has.
fn keys_of(preset: &Preset, key: &str, choice: &impl Serialize) -> String {
    let defaults = Table::try_from(BTreeMap::from([(key, choice)])).expect("a choice is a table");
    let mut text = String::new();
    for (path, value) in preset.keys {
        let Some((of_choice, name)) = path.rsplit_once('.') else { continue };
        let Some((_, wanted)) = of_choice.split_once('.').filter(|(of, _)| *of == key) else { continue };
        let variants = defaults[key].as_table().expect("a choice holds its variant");
        for (variant, keys) in variants.iter().filter(|(variant, _)| wanted == "*" || wanted == *variant) {
            if keys.get(name).is_some() {
                writeln!(text, "{key}.{variant}.{name} = {value}").expect("a string takes any text");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use turnwise_credit::{Grpo, WeightsConfig};
    use turnwise_loss::Clip;

    use super::*;

    #[derive(Deserialize, Default)]
    #[serde(deny_unknown_fields, default)]
    struct Layer {
        advantage: AdvantageConfig,
        loss: LossConfig,
    }

    fn read(preset: &Preset, advantage: &str, loss: &str) -> Layer {
        let advantage = AdvantageConfig::named(advantage).expect("a name");
        let loss = LossConfig::named(loss).expect("a name");
        let text = keys_of(preset, "advantage", &advantage) + &keys_of(preset, "loss", &loss);
        toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn every_preset_fits_every_estimator_and_loss() {
        for preset in PRESETS {
            for advantage in AdvantageConfig::NAMES {
                for loss in LossConfig::NAMES {
                    assert_eq!(read(preset, advantage, loss).loss.name(), *loss);
                }
            }
        }
    }

    /// A key of a preset that no variant has would be lost without an error.
    #[test]
    fn every_key_of_a_preset_is_a_key_of_something() {
        for preset in PRESETS {
            let mut laid = String::new();
            for name in AdvantageConfig::NAMES {
                laid += &keys_of(preset, "advantage", &AdvantageConfig::named(name));
            }
            for name in LossConfig::NAMES {
                laid += &keys_of(preset, "loss", &LossConfig::named(name));
            }
            for (path, _) in preset.keys {
                let (choice, key) = path.rsplit_once('.').expect("a path");
                let choice = choice.trim_end_matches('*');
                let holds = |line: &str| line.starts_with(choice) && line.contains(&format!(".{key} = "));
                assert!(laid.lines().any(holds), "{}: {path}", preset.name);
            }
        }
    }

    #[test]
    fn conventions_of_the_table() {
        let check = |name: &str, eps: f64, clip: Clip| {
            let preset = PRESETS.iter().find(|preset| preset.name == name).expect("a name");
            let layer = read(preset, "grpo", "clip");
            assert_eq!(layer.advantage, AdvantageConfig::Grpo(Grpo { eps, ..Grpo::default() }), "{name}");
            assert_eq!(layer.loss, LossConfig::Clip(clip), "{name}");
        };
        let skyrl = Clip { eps_high: 0.2, kl_output_clamp: 10.0, ..Clip::default() };
        check("skyrl", 1e-6, skyrl);
        check("verl", 1e-6, Clip { dual_clip: 3.0, ..skyrl });
        check("openrlhf", 1e-9, Clip { kl_input_clamp: 0.0, ..skyrl });
        let free = Clip { log_ratio_clamp: 0.0, kl_input_clamp: 0.0, kl_output_clamp: 0.0, ..skyrl };
        check("trl", 1e-4, free);
        assert_eq!(WeightsConfig::default().name(), "token_mean", "the reduction of all four");
    }
}
