//! The clipped surrogate (PPO, arXiv:1707.06347 eq. 7).

use burn::tensor::Tensor;
use turnwise_runfile::Conflict;

use super::{LossBatch, LossOutput, PolicyLoss, terms::Terms, terms::policy_loss};

policy_loss! {
    /// Clips the importance ratio: the PPO surrogate (arXiv:1707.06347 eq. 7) as GRPO uses it. Each sampled
    /// token has its turn's advantage.
    ///
    /// ```text
    /// loss_t = -min(ρ_t·A, clip(ρ_t, 1-ε_low, 1+ε_high)·A) + β·kl_t - η·entropy_t
    /// ```
    ///
    /// A larger `eps_high` is clip-higher (DAPO, arXiv:2503.14476). `dual_clip = c` bounds the loss by `-c·A`
    /// where A < 0 (arXiv:1912.09729).
    pub struct Clip at Token {
        /// ε_low.
        #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1>::read")]
        pub eps_low: f64 = 0.2,
        /// ε_high.
        #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1_000>::read")]
        pub eps_high: f64 = 0.28,
        /// Bound of the ratio where the advantage is negative, above 1 + ε_high; 0 is none.
        #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1_000_000>::read")]
        pub dual_clip: f64 = 0.0,
    }
}

impl PolicyLoss for Clip {
    fn evaluate(&self, logprobs: Tensor<2>, batch: &LossBatch) -> LossOutput {
        let terms = self.terms();
        let masked = terms.mask(&logprobs, batch);
        let ratio = masked.log_ratio.clone().exp();
        // Bounding the ratio of the unclipped branch is the dual clip: for A >= 0 the other branch is
        // smaller.
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
        self.shared()
    }

    fn conflict(&self) -> Option<Conflict> {
        let clip = 1.0 + self.eps_high;
        let message = || format!("is {}, expected 0 or a number above 1 + eps_high = {clip}", self.dual_clip);
        let bounds = self.dual_clip == 0.0 || self.dual_clip > clip;
        (!bounds).then(|| Conflict::new("dual_clip", message()))
    }
}
