//! GSPO in its token form (arXiv:2507.18071 §4.3).

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use turnwise_runfile::Within;

use super::{KlEstimator, LossBatch, LossOutput, PolicyLoss, RatioLevel, Terms, terms::clamped};

/// GSPO-token, Group Sequence Policy Optimization with token-wise advantages (arXiv:2507.18071 eq. 13, 14):
/// the clip is decided by the geometric mean of the ratio over the sequence, the gradient is each token's own.
///
/// ```text
/// s_i = exp(mean_t (logp_t - old_logp_t))      s_it = sg[s_i] · exp(logp_t - sg[logp_t])
/// loss_t = -min(s_it·A, clip(s_it, 1-ε_low, 1+ε_high)·A) + β·kl_t - η·entropy_t
/// ```
///
/// The token form is the paper's own answer to advantages that differ within a sequence, as GTPO's do; where
/// they don't, value and gradient are those of GSPO. `level = "turn"` takes the mean over the turn instead.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gspo {
    /// ε_low; a mean over many tokens moves little, so it is small.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub eps_low: f64,
    /// ε_high.
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

impl Default for Gspo {
    fn default() -> Self {
        Self {
            eps_low: 3e-4,
            eps_high: 4e-4,
            level: RatioLevel::Sequence,
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

impl PolicyLoss for Gspo {
    fn evaluate(&self, logprobs: Tensor<2>, batch: &LossBatch) -> LossOutput {
        let terms = self.terms();
        let mut masked = terms.mask(&logprobs, batch);
        let own = masked.logprobs.clone() - masked.logprobs.clone().detach();
        masked.log_ratio = clamped(masked.log_ratio.detach() + own, self.log_ratio_clamp);
        let ratio = masked.log_ratio.clone().exp();
        let free = ratio.clone() * masked.advantages.clone();
        let clipped = ratio.clamp(1.0 - self.eps_low, 1.0 + self.eps_high) * masked.advantages.clone();
        let cut = clipped.clone().lower(free.clone());
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
