//! The defaults of `transformers` for keys that a `config.json` leaves out.

use crate::block::Activation;

/// Chooses how files spell scalings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RopeDialect {
    /// As most families do.
    Common,
    /// `su` and `yarn` mean LongRoPE. The context of pre-training is beside the settings, 4,096 by default.
    Phi3,
    /// `dynamic` with `alpha` has a fixed base.
    Hunyuan,
}

/// Holds the defaults of a family.
#[derive(Debug, Clone, Copy)]
pub(super) struct Defaults {
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) intermediate_size: usize,
    pub(super) layers: usize,
    pub(super) query: usize,
    /// Key/value heads; unset, the number of query heads.
    pub(super) key_value: Option<usize>,
    /// Size of a head; unset, `hidden_size / num_attention_heads`.
    pub(super) head_dim: Option<usize>,
    pub(super) max_position: usize,
    pub(super) norm_eps: f64,
    /// Base of the rotation's frequencies.
    pub(super) theta: f64,
    /// Part of a head that is rotated; unset, all of it, and a file may not say otherwise.
    pub(super) rotated_part: Option<f64>,
    /// How the family's files spell scalings of the rotation.
    pub(super) rope_dialect: RopeDialect,
    /// Whether windowed and other layers have separate settings of the rotation, which the family reads.
    pub(super) ropes_by_kind: bool,
    pub(super) tied: bool,
    pub(super) activation: Activation,
    /// Key that names the activation.
    pub(super) activation_key: &'static str,
}

impl Defaults {
    pub(super) const LLAMA: Self = Self {
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
