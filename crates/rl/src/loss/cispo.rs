//! CISPO (MiniMax-M1, arXiv:2506.13585).

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use turnwise_runfile::Within;

use super::{KlEstimator, LossBatch, LossOutput, PolicyLoss, RatioLevel, Terms};

/// CISPO (MiniMax-M1, arXiv:2506.13585): REINFORCE with a clipped, detached importance weight, so that no
/// token loses its gradient.
///
/// ```text
/// loss_t = -sg[clip(ρ_t, 1-ε_low, 1+ε_high)] · A · logp_t + β·kl_t - η·entropy_t
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cispo {
    /// ε_low; 1 is no lower bound, as in the paper.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub eps_low: f64,
    /// ε_high. TRL's `epsilon_high` is `1 + ε_high`.
    #[serde(deserialize_with = "Within::<0, 1_000>::read")]
    pub eps_high: f64,
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

impl Default for Cispo {
    fn default() -> Self {
        Self {
            eps_low: 1.0,
            eps_high: 4.0,
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

impl PolicyLoss for Cispo {
    fn evaluate(&self, logprobs: Tensor<2>, batch: &LossBatch) -> LossOutput {
        let terms = self.terms();
        let masked = terms.mask(&logprobs, batch);
        let ratio = masked.log_ratio.clone().exp().detach();
        let (low, high) = (1.0 - self.eps_low, 1.0 + self.eps_high);
        let weight = ratio.clone().clamp(low, high);
        let cut = ratio.not_equal(weight.clone());
        let surrogate = -(weight * masked.advantages.clone() * masked.logprobs.clone());
        terms.finish(masked, surrogate, cut, batch)
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
