//! DPPO (arXiv:2602.04879): a trust region of probabilities instead of ratios.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Bools, LossBatch, LossOutput, PolicyLoss, terms::Terms, terms::policy_loss};

/// Keeps the logarithms of a divergence finite, as verl does.
const TINY: f64 = 1e-8;

/// Chooses the divergence that bounds an update. It is binary: the sampled token against all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Divergence {
    /// Total variation: `|p - p_old|`.
    Tv,
    /// `KL(old ‖ new)`, in nats.
    Kl,
}

policy_loss! {
    /// Masks a token that has left the trust region in the direction of its advantage. This is DPPO with the
    /// binary divergence (arXiv:2602.04879 §4). Ratios of rare tokens vary much and matter little, so the
    /// region is one of probabilities.
    ///
    /// ```text
    /// keep_t = not (D_t > δ and the token moves away: A > 0 and p > p_old, or A <= 0 and p < p_old)
    /// loss_t = -sg[min(ρ_t, cap)] · A · logp_t · keep_t + β·kl_t - η·entropy_t
    /// D_t    = |p - p_old|,  or  p_old·ln(p_old/p) + (1-p_old)·ln((1-p_old)/(1-p))
    /// ```
    ///
    /// `level` averages the ratio as in other losses. The probabilities are always those of the token.
    pub struct Dppo at Token {
        /// The divergence.
        pub divergence: Divergence = Divergence::Tv,
        /// δ where the advantage is not above 0; a probability, or nats with `kl`.
        #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1_000>::read")]
        pub delta_low: f64 = 0.2,
        /// δ where the advantage is above 0.
        #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1_000>::read")]
        pub delta_high: f64 = 0.2,
        /// Cap of the ratio that weighs a token; 0 is none.
        #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1_000_000>::read")]
        pub ratio_cap: f64 = 20.0,
    }
}

impl Dppo {
    /// Returns where a token is outside the trust region and moves away. All columns are detached, `[B, T]`.
    fn left(&self, logprobs: &Tensor<2>, old: &Tensor<2>, advantages: &Tensor<2>) -> Bools {
        let (p, p_old) = (logprobs.clone().exp(), old.clone().exp());
        let up = p.clone().greater(p_old.clone());
        let down = p.clone().lower(p_old.clone());
        let divergence = match self.divergence {
            Divergence::Tv => (p - p_old).abs(),
            Divergence::Kl => {
                let others = ((1.0 + TINY - p_old.clone()) / (1.0 + TINY - p)).log();
                p_old.clone() * (old.clone() - logprobs.clone()) + (1.0 - p_old) * others
            }
        };
        let positive = advantages.clone().greater_elem(0.0);
        // A divergence that isn't a number is no proof of being inside.
        let outside = |delta: f64| divergence.clone().lower_equal_elem(delta).bool_not();
        let above = outside(self.delta_high).bool_and(up).bool_and(positive.clone());
        let below = outside(self.delta_low).bool_and(down).bool_and(positive.bool_not());
        above.bool_or(below)
    }
}

impl PolicyLoss for Dppo {
    fn evaluate(&self, logprobs: Tensor<2>, batch: &LossBatch) -> LossOutput {
        let terms = self.terms();
        let masked = terms.mask(&logprobs, batch);
        let left =
            self.left(&masked.logprobs.clone().detach(), &masked.old, &masked.advantages.clone().detach());
        let ratio = masked.log_ratio.clone().exp().detach();
        let weight =
            if self.ratio_cap > 0.0 { ratio.clone().clamp_max(self.ratio_cap) } else { ratio.clone() };
        let cut = left.clone().bool_or(ratio.not_equal(weight.clone()));
        let weight = weight.mask_fill(left, 0.0);
        let surrogate = -(weight * masked.advantages.clone() * masked.logprobs.clone());
        terms.finish(masked, surrogate, cut, batch)
    }

    fn terms(&self) -> Terms {
        self.shared()
    }
}
