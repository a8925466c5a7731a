//! Numeric conventions of public implementations, as defaults under a run file.

use std::fmt::Write as _;

/// A public implementation whose conventions a run can take over: `preset = "trl"`. A preset is only a layer of
/// defaults under the run file; every key that the file sets wins.
///
/// | | TRL | verl | OpenRLHF | SkyRL |
/// |---|---|---|---|---|
/// | σ ddof / ε | 1 / 1e-4 | 1 / 1e-6 | 1 / 1e-9 | 1 / 1e-6 |
/// | reduction | token mean | token mean | token mean | token mean |
/// | log-ratio clamp | none | ±20 | ±20 | ±20 |
/// | dual clip | off | 3 | off | off |
/// | k3 clamp | none | in ±20, out ±10 | out ±10 | in ±20, out ±10 |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// TRL 1.16.
    Trl,
    /// verl 0.9.
    Verl,
    /// OpenRLHF.
    OpenRlhf,
    /// SkyRL.
    SkyRl,
}

/// What a preset says; 0 turns a bound off.
struct Convention {
    eps: f64,
    log_ratio_clamp: f64,
    dual_clip: f64,
    kl_input_clamp: f64,
    kl_output_clamp: f64,
}

impl Preset {
    /// The names accepted in a run file.
    pub const NAMES: &'static [&'static str] = &["trl", "verl", "openrlhf", "skyrl"];

    /// The preset of a name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "trl" => Some(Preset::Trl),
            "verl" => Some(Preset::Verl),
            "openrlhf" => Some(Preset::OpenRlhf),
            "skyrl" => Some(Preset::SkyRl),
            _ => None,
        }
    }

    fn convention(self) -> Convention {
        let skyrl = Convention {
            eps: 1e-6,
            log_ratio_clamp: 20.0,
            dual_clip: 0.0,
            kl_input_clamp: 20.0,
            kl_output_clamp: 10.0,
        };
        match self {
            Preset::Trl => Convention {
                eps: 1e-4,
                log_ratio_clamp: 0.0,
                kl_input_clamp: 0.0,
                kl_output_clamp: 0.0,
                ..skyrl
            },
            Preset::Verl => Convention { dual_clip: 3.0, ..skyrl },
            Preset::OpenRlhf => Convention { eps: 1e-9, kl_input_clamp: 0.0, ..skyrl },
            Preset::SkyRl => skyrl,
        }
    }

    /// The preset as TOML, to be laid *under* a run file whose estimator has this name; empty for an estimator
    /// that has no σ.
    pub fn advantage_layer(self, advantage: &str) -> String {
        if matches!(advantage, "dr_grpo" | "rloo" | "turn_tree") {
            return String::new();
        }
        format!("[advantage.{advantage}]\nddof = 1\neps = {:e}\n", self.convention().eps)
    }

    /// The same for a run file whose loss has this name. A loss without dual clip takes the rest.
    pub fn loss_layer(self, loss: &str) -> String {
        let c = self.convention();
        let mut text = String::from("[weights.token_mean]\n");
        let _ = write!(
            text,
            "[loss.{loss}]\nlog_ratio_clamp = {:?}\nkl_input_clamp = {:?}\nkl_output_clamp = {:?}\n",
            c.log_ratio_clamp, c.kl_input_clamp, c.kl_output_clamp,
        );
        if loss == "clip" {
            let _ = write!(text, "eps_low = 0.2\neps_high = 0.2\ndual_clip = {:?}\n", c.dual_clip);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::{AdvantageConfig, Clip, Grpo, LossConfig, WeightsConfig};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Layer {
        #[serde(default)]
        advantage: AdvantageConfig,
        loss: LossConfig,
        weights: WeightsConfig,
    }

    fn read(preset: Preset, advantage: &str, loss: &str) -> Layer {
        let text = preset.advantage_layer(advantage) + &preset.loss_layer(loss);
        toml::from_str(&text).expect("a valid layer")
    }

    #[test]
    fn every_preset_fits_every_estimator_and_loss() {
        for name in Preset::NAMES {
            let preset = Preset::named(name).expect("a name");
            for advantage in AdvantageConfig::NAMES {
                for loss in LossConfig::NAMES {
                    let layer = read(preset, advantage, loss);
                    assert_eq!(layer.loss.name(), *loss);
                    assert_eq!(layer.weights, WeightsConfig::default());
                }
            }
        }
        assert_eq!(Preset::named("grpo"), None);
    }

    #[test]
    fn conventions_of_the_table() {
        let check = |name: &str, eps: f64, clip: Clip| {
            let layer = read(Preset::named(name).expect("a name"), "grpo", "clip");
            assert_eq!(layer.advantage, AdvantageConfig::Grpo(Grpo { eps, ..Grpo::default() }), "{name}");
            assert_eq!(layer.loss, LossConfig::Clip(clip), "{name}");
        };
        let skyrl = Clip { eps_high: 0.2, kl_output_clamp: 10.0, ..Clip::default() };
        check("skyrl", 1e-6, skyrl);
        check("verl", 1e-6, Clip { dual_clip: 3.0, ..skyrl });
        check("openrlhf", 1e-9, Clip { kl_input_clamp: 0.0, ..skyrl });
        let free = Clip { log_ratio_clamp: 0.0, kl_input_clamp: 0.0, kl_output_clamp: 0.0, ..skyrl };
        check("trl", 1e-4, free);
    }
}
