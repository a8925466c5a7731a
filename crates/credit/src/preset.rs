//! Numeric conventions of public implementations, as defaults below a run file.

/// Holds the numeric conventions of a public implementation: `preset = "trl"`. A preset is a layer of
/// defaults below the run file; every key that the file sets wins.
///
/// | | TRL | verl | OpenRLHF | SkyRL |
/// |---|---|---|---|---|
/// | σ ddof / ε | 1 / 1e-4 | 1 / 1e-6 | 1 / 1e-9 | 1 / 1e-6 |
/// | reduction | token mean | token mean | token mean | token mean |
/// | log-ratio clamp | none | ±20 | ±20 | ±20 |
/// | dual clip | off | 3 | off | off |
/// | k3 clamp | none | in ±20, out ±10 | out ±10 | in ±20, out ±10 |
///
/// The token mean is the default of [`crate::WeightsConfig`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preset {
    /// The name in a run file.
    pub name: &'static str,
    /// Keys of a run file and their values; a value of 0 turns a bound off.
    ///
    /// A `*` stands for the variant that the run chooses. A key that this variant doesn't have is left out.
    pub keys: &'static [(&'static str, f64)],
}

/// Lists every preset.
pub const PRESETS: &[Preset] = &[TRL, VERL, OPENRLHF, SKYRL];

/// TRL 1.16.
const TRL: Preset = Preset {
    name: "trl",
    keys: &[
        ("advantage.*.ddof", 1.0),
        ("advantage.*.eps", 1e-4),
        ("loss.*.log_ratio_clamp", 0.0),
        ("loss.*.kl_input_clamp", 0.0),
        ("loss.*.kl_output_clamp", 0.0),
        ("loss.clip.eps_low", 0.2),
        ("loss.clip.eps_high", 0.2),
        ("loss.clip.dual_clip", 0.0),
    ],
};

/// verl 0.9.
const VERL: Preset = Preset {
    name: "verl",
    keys: &[
        ("advantage.*.ddof", 1.0),
        ("advantage.*.eps", 1e-6),
        ("loss.*.log_ratio_clamp", 20.0),
        ("loss.*.kl_input_clamp", 20.0),
        ("loss.*.kl_output_clamp", 10.0),
        ("loss.clip.eps_low", 0.2),
        ("loss.clip.eps_high", 0.2),
        ("loss.clip.dual_clip", 3.0),
    ],
};

/// OpenRLHF.
const OPENRLHF: Preset = Preset {
    name: "openrlhf",
    keys: &[
        ("advantage.*.ddof", 1.0),
        ("advantage.*.eps", 1e-9),
        ("loss.*.log_ratio_clamp", 20.0),
        ("loss.*.kl_input_clamp", 0.0),
        ("loss.*.kl_output_clamp", 10.0),
        ("loss.clip.eps_low", 0.2),
        ("loss.clip.eps_high", 0.2),
        ("loss.clip.dual_clip", 0.0),
    ],
};

/// SkyRL.
const SKYRL: Preset = Preset {
    name: "skyrl",
    keys: &[
        ("advantage.*.ddof", 1.0),
        ("advantage.*.eps", 1e-6),
        ("loss.*.log_ratio_clamp", 20.0),
        ("loss.*.kl_input_clamp", 20.0),
        ("loss.*.kl_output_clamp", 10.0),
        ("loss.clip.eps_low", 0.2),
        ("loss.clip.eps_high", 0.2),
        ("loss.clip.dual_clip", 0.0),
    ],
};
