//! Rounding that sets the log-probabilities of sampler and trainer apart.

use turnwise_model::HostPrecision;

use crate::config::{Precision, RunConfig};

/// Names the cause of differences between the log-probabilities of sampler and trainer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Both compute in f32.
    F32,
    /// Activations are bf16 or f16.
    Activations,
    /// The sampler on the CPU plays from rounded weights.
    Weights(HostPrecision),
}

impl Rounding {
    /// Returns the rounding of a run.
    pub fn of(config: &RunConfig) -> Self {
        match (config.rollout.precision, config.optimizer.precision) {
            (HostPrecision::F32, Precision::F32) => Self::F32,
            (HostPrecision::F32, _) => Self::Activations,
            (rounded, _) => Self::Weights(rounded),
        }
    }

    /// Returns how many times the difference of f32 it explains.
    pub(super) fn factor(self) -> f64 {
        match self {
            Self::F32 | Self::Weights(HostPrecision::F32) => 1.0,
            Self::Activations | Self::Weights(HostPrecision::Bf16) => 20.0,
            Self::Weights(HostPrecision::Int8) => 100.0,
        }
    }

    /// Returns advice against a greater difference.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::F32 | Self::Activations => {
                "compare with optimizer.precision=f32; if it stays, this is a bug of turnwise"
            }
            Self::Weights(_) => "compare with rollout.precision=f32; if it stays, this is a bug of turnwise",
        }
    }
}
