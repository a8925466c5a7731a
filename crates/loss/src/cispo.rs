//! CISPO (MiniMax-M1, arXiv:2506.13585).

use burn::tensor::Tensor;

use super::{LossBatch, LossOutput, PolicyLoss, terms::Terms, terms::policy_loss};

policy_loss! {
    /// Weighs REINFORCE by a clipped, detached importance ratio, so no token loses its gradient: CISPO
    /// (MiniMax-M1, arXiv:2506.13585).
    ///
    /// ```text
    /// loss_t = -sg[clip(ρ_t, 1-ε_low, 1+ε_high)] · A · logp_t + β·kl_t - η·entropy_t
    /// ```
    pub struct Cispo at Token {
        /// ε_low; 1 is no lower bound, as in the paper.
        #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1>::read")]
        pub eps_low: f64 = 1.0,
        /// ε_high. TRL's `epsilon_high` is `1 + ε_high`.
        #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1_000>::read")]
        pub eps_high: f64 = 4.0,
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
        self.shared()
    }
}
