//! Names of the types that the decoder's weights are kept in.

use serde::{Deserialize, Serialize};

use super::matrix::int8;

/// Names the type in which the decoder on the CPU keeps the weights of linear layers and embeddings.
///
/// Activations, norms, routers and states are f32 in each. Keys and values are f32 beside weights in f32, and
/// bf16 otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostPrecision {
    /// Single precision, as the weights are trained.
    #[default]
    F32,
    /// Each weight is rounded to bfloat16. Sums of products are those of f32.
    Bf16,
    /// Each weight is an 8-bit integer times a scale that a row's 32 neighbours share. Inputs of products are
    /// rounded in the same way.
    Int8,
}

impl HostPrecision {
    /// Returns the name in a run file.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }

    /// Returns the bytes of `weights` weights, with their scales.
    pub fn bytes(self, weights: usize) -> usize {
        match self {
            Self::F32 => weights * size_of::<f32>(),
            Self::Bf16 => weights * size_of::<u16>(),
            Self::Int8 => weights + weights.div_ceil(int8::BLOCK) * size_of::<f32>(),
        }
    }

    /// Returns the bytes of a number of keys and values.
    pub fn cache_bytes(self) -> usize {
        if self == Self::F32 { size_of::<f32>() } else { size_of::<u16>() }
    }
}
