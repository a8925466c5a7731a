//! GSPO in its token form (arXiv:2507.18071 §4.3).

use burn::tensor::Tensor;

use super::{LossBatch, LossOutput, PolicyLoss, kl::clamped, terms::Terms, terms::policy_loss};

policy_loss! {
    /// Clips by the sequence's geometric mean ratio: GSPO-token (arXiv:2507.18071 eq. 13, 14). GSPO is Group
    /// Sequence Policy Optimization; its token form takes advantages and gradients token by token.
    ///
    /// ```text
    /// s_i = exp(mean_t (logp_t - old_logp_t))      s_it = sg[s_i] · exp(logp_t - sg[logp_t])
    /// loss_t = -min(s_it·A, clip(s_it, 1-ε_low, 1+ε_high)·A) + β·kl_t - η·entropy_t
    /// ```
    ///
    /// The paper has the token form for advantages that differ within a sequence, as GTPO's do. If they
    /// don't differ, value and gradient are those of GSPO. `level = "turn"` takes the mean over the turn
    /// instead.
    pub struct Gspo at Sequence {
        /// ε_low, which is small because a mean over many tokens moves little.
        #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1>::read")]
        pub eps_low: f64 = 3e-4,
        /// ε_high.
        #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1_000>::read")]
        pub eps_high: f64 = 4e-4,
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
        self.shared()
    }
}
