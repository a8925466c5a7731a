//! The defaults of `transformers` for keys that a `config.json` leaves out.

use crate::block::Activation;

/// Chooses how files spell scalings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::family) enum RopeDialect {
    /// As most families do.
    Common,
    /// `su` and `yarn` mean LongRoPE. The context of pre-training is beside the settings, 4,096 by default.
    Phi3,
    /// `dynamic` with `alpha` has a fixed base.
    Hunyuan,
}

/// Holds the defaults of a family.
#[derive(Debug, Clone, Copy)]
pub(in crate::family) struct Defaults {
    pub(in crate::family) vocab_size: usize,
    pub(in crate::family) hidden_size: usize,
    pub(in crate::family) intermediate_size: usize,
    pub(in crate::family) layers: usize,
    pub(in crate::family) query: usize,
    /// Key/value heads; unset, the number of query heads.
    pub(in crate::family) key_value: Option<usize>,
    /// Size of a head; unset, `hidden_size / num_attention_heads`.
    pub(in crate::family) head_dim: Option<usize>,
    pub(in crate::family) max_position: usize,
    pub(in crate::family) norm_eps: f64,
    /// Base of the rotation's frequencies.
    pub(in crate::family) theta: f64,
    /// Part of a head that is rotated; unset, all of it, and a file may not say otherwise.
    pub(in crate::family) rotated_part: Option<f64>,
    /// How the family's files spell scalings of the rotation.
    pub(in crate::family) rope_dialect: RopeDialect,
    /// Whether windowed and other layers have separate settings of the rotation, which the family reads.
    pub(in crate::family) ropes_by_kind: bool,
    pub(in crate::family) tied: bool,
    pub(in crate::family) activation: Activation,
    /// Key that names the activation.
    pub(in crate::family) activation_key: &'static str,
}

impl Defaults {
    pub(in crate::family) const LLAMA: Self = Self {
        vocab_size: 32_000,
        hidden_size: 4096,
        intermediate_size: 11_008,
        layers: 32,
        query: 32,
        key_value: None,
        head_dim: None,
        max_position: 2048,
        norm_eps: 1e-6,
        theta: 10_000.0,
        rotated_part: None,
        rope_dialect: RopeDialect::Common,
        ropes_by_kind: false,
        tied: false,
        activation: Activation::Silu,
        activation_key: "hidden_act",
    };
}
