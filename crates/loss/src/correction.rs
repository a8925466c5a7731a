//! Importance weights of rollouts that another policy than the trainer's sampled.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use turnwise_runfile::Conflict;

use super::kl::clamped;
use super::{Bools, LossBatch, RatioLevel};

/// Chooses the treatment of an importance weight outside its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bounding {
    /// Takes the nearest bound: truncated importance sampling (IMPALA, arXiv:1802.01561).
    Truncate,
    /// Takes 0, so that the tokens have no gradient. At the level of tokens that is IcePop
    /// (arXiv:2510.18855).
    Mask,
}

/// Weighs tokens by `exp(old_logp - rollout_logp)`: the trainer's policy before the step over the sampler's.
///
/// This is importance sampling with bounded weights: truncated (IMPALA, arXiv:1802.01561) or masked (IcePop,
/// arXiv:2510.18855).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Correction {
    /// Upper bound of a weight; 0 turns the correction off.
    pub cap: f64,
    /// Lower bound of a weight; 0 is none.
    pub min: f64,
    /// The rule for a weight outside the bounds.
    pub bounding: Bounding,
    /// The tokens whose weights are multiplied: their product is the weight of each of them.
    pub level: RatioLevel,
}

/// Holds the weights of a batch, each `[B, T]`, detached.
pub(super) struct Corrected {
    /// The bounded weight.
    pub(super) weight: Tensor<2>,
    /// 1 where the bounds changed it.
    pub(super) cut: Tensor<2>,
}

impl Correction {
    /// Returns whether tokens are weighed. Then the batch needs `rollout_logprobs`.
    pub fn is_on(&self) -> bool {
        self.cap > 0.0
    }

    /// Returns the conflict of its keys in a run file, which are each in their range.
    pub(super) fn conflict(&self) -> Option<Conflict> {
        let Self { cap, min, .. } = *self;
        let message =
            || format!("is {min}, expected at most tis_cap = {cap}, which turns the weights on above 0");
        (min > cap).then(|| Conflict::new("tis_min", message()))
    }

    /// Returns the weights of a batch, which are 1 where `ignored`. `old` is 0 there.
    pub(super) fn weights(
        &self,
        old: &Tensor<2>,
        batch: &LossBatch,
        ignored: &Bools,
        clamp: f64,
    ) -> Option<Corrected> {
        if !self.is_on() {
            return None;
        }
        let rollout = batch.rollout_logprobs.as_ref();
        let rollout = rollout.expect("importance weights need the batch's `rollout_logprobs`");
        let log_weight = old.clone() - rollout.clone().mask_fill(ignored.clone(), 0.0);
        let log_weight = self.level.sum(log_weight.detach(), batch);
        let free = clamped(log_weight.mask_fill(ignored.clone(), 0.0), clamp).exp();
        let mut cut = free.clone().greater_elem(self.cap);
        if self.min > 0.0 {
            cut = cut.bool_or(free.clone().lower_elem(self.min));
        }
        // Ignored tokens have a weight of 1, whatever the bounds.
        let cut = cut.bool_and(ignored.clone().bool_not());
        let weight = match self.bounding {
            Bounding::Truncate if self.min > 0.0 => free.clamp(self.min, self.cap),
            Bounding::Truncate => free.clamp_max(self.cap),
            Bounding::Mask => free.mask_fill(cut.clone(), 0.0),
        };
        Some(Corrected { weight, cut: cut.float() })
    }
}
