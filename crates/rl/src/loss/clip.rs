//! The clipped surrogate (PPO, arXiv:1707.06347 eq. 7).

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use turnwise_runfile::{Conflict, Within};

use super::{KlEstimator, LossBatch, LossOutput, PolicyLoss, RatioLevel, Terms};

/// The clipped surrogate of PPO (arXiv:1707.06347 eq. 7) as GRPO uses it, with the turn's advantage on each of
/// its sampled tokens.
///
/// ```text
/// loss_t = -min(ρ_t·A, clip(ρ_t, 1-ε_low, 1+ε_high)·A) + β·kl_t - η·entropy_t
/// ```
///
/// A larger `eps_high` is clip-higher (DAPO, arXiv:2503.14476). `dual_clip = c` bounds the loss by `-c·A` where
/// A < 0 (arXiv:1912.09729).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Clip {
    /// ε_low.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub eps_low: f64,
    /// ε_high.
    #[serde(deserialize_with = "Within::<0, 1_000>::read")]
    pub eps_high: f64,
    /// Bound of the ratio where the advantage is negative, above 1 + ε_high; 0: none.
    #[serde(deserialize_with = "Within::<0, 1_000_000>::read")]
    pub dual_clip: f64,
    /// Over what the log-ratio is averaged.
    pub level: RatioLevel,
    /// β, the weight of the KL divergence to the reference.
    #[serde(deserialize_with = "Within::<0, 1_000>::read")]
    pub beta: f64,
    /// The KL estimator.
    pub kl: KlEstimator,
    /// Bound of the log-ratio to the reference in the KL estimator; 0: none.
    #[serde(deserialize_with = "Within::<0, 80>::read")]
    pub kl_input_clamp: f64,
    /// Bound of the KL estimate; 0: none.
    #[serde(deserialize_with = "Within::<0, 1_000_000>::read")]
    pub kl_output_clamp: f64,
    /// η, the weight of the entropy bonus.
    #[serde(deserialize_with = "Within::<0, 1_000>::read")]
    pub entropy: f64,
    /// Bound of the log-ratio; 0: none. It keeps `exp` finite in f32.
    #[serde(deserialize_with = "Within::<0, 80>::read")]
    pub log_ratio_clamp: f64,
    /// Cap of the truncated importance weight of stale rollouts; 0: off.
    #[serde(deserialize_with = "Within::<0, 1_000_000>::read")]
    pub tis_cap: f64,
}

impl Default for Clip {
    fn default() -> Self {
        Self {
            eps_low: 0.2,
            eps_high: 0.28,
            dual_clip: 0.0,
            level: RatioLevel::Token,
            beta: 0.0,
            kl: KlEstimator::K3,
            kl_input_clamp: 20.0,
            kl_output_clamp: 0.0,
            entropy: 0.0,
            log_ratio_clamp: 20.0,
            tis_cap: 0.0,
        }
    }
}

impl Clip {
    /// Keys whose values don't go together.
    pub(super) fn conflict(&self) -> Option<Conflict> {
        let clip = 1.0 + self.eps_high;
        let message = || format!("is {}, expected 0 or a number above 1 + eps_high = {clip}", self.dual_clip);
        let bounds = self.dual_clip == 0.0 || self.dual_clip > clip;
        (!bounds).then(|| Conflict::new("dual_clip", message()))
    }
}

impl PolicyLoss for Clip {
    fn evaluate(&self, logprobs: Tensor<2>, batch: &LossBatch) -> LossOutput {
        let terms = self.terms();
        let masked = terms.mask(&logprobs, batch);
        let ratio = masked.log_ratio.clone().exp();
        // Bounding the ratio of the unclipped branch is the dual clip: for A >= 0 the other branch is smaller.
        let bounded =
            if self.dual_clip > 0.0 { ratio.clone().clamp_max(self.dual_clip) } else { ratio.clone() };
        let free = bounded * masked.advantages.clone();
        let clipped =
            ratio.clone().clamp(1.0 - self.eps_low, 1.0 + self.eps_high) * masked.advantages.clone();
        let mut cut = clipped.clone().lower(free.clone());
        if self.dual_clip > 0.0 {
            let negative = masked.advantages.clone().lower_elem(0.0);
            cut = cut.bool_or(ratio.greater_elem(self.dual_clip).bool_and(negative));
        }
        terms.finish(masked, -free.min_pair(clipped), cut, batch)
    }

    fn terms(&self) -> Terms {
        Terms {
            beta: self.beta,
            kl: self.kl,
            kl_input_clamp: self.kl_input_clamp,
            kl_output_clamp: self.kl_output_clamp,
            entropy: self.entropy,
            log_ratio_clamp: self.log_ratio_clamp,
            tis_cap: self.tis_cap,
            level: self.level,
        }
    }
}
