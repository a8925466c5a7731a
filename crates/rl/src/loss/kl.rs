//! Estimators of the KL divergence to the reference policy, per token.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::terms::clamped;

/// Schulman's estimators of `KL(π ‖ π_ref)` from one sampled token, with `d = logp - ref_logp`
/// (<http://joschu.net/blog/kl-approx.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KlEstimator {
    /// `d`: unbiased, may be negative.
    K1,
    /// `d²/2`: biased, low variance; its gradient is the unbiased one.
    K2,
    /// `exp(-d) + d - 1`: unbiased, never negative (GRPO, arXiv:2402.03300 eq. 4).
    K3,
}

impl KlEstimator {
    /// The estimate at each token. `input_clamp` bounds `|d|`, `output_clamp` bounds the estimate; 0 is none.
    ///
    /// # Shapes
    /// All `[B, T]`.
    pub(super) fn estimate(
        self,
        logprobs: Tensor<2>,
        reference: Tensor<2>,
        input_clamp: f64,
        output_clamp: f64,
    ) -> Tensor<2> {
        let d = clamped(logprobs - reference, input_clamp);
        let estimate = match self {
            KlEstimator::K1 => d,
            KlEstimator::K2 => d.clone() * d * 0.5,
            KlEstimator::K3 => k3(-d),
        };
        clamped(estimate, output_clamp)
    }

    /// The same estimate on the host, for a KL penalty in the reward.
    pub fn of(self, logprob: f64, reference: f64) -> f64 {
        let d = logprob - reference;
        match self {
            KlEstimator::K1 => d,
            KlEstimator::K2 => 0.5 * d * d,
            KlEstimator::K3 => ((-d).exp_m1() + d).max(0.0),
        }
    }
}

/// `exp(x) - x - 1`, never negative. The plain difference has no digits left in f32 where `x` is small, so
/// there it is `x²` times the Taylor series of the rest.
pub(super) fn k3(x: Tensor<2>) -> Tensor<2> {
    let near = x.clone().abs().lower_elem(0.5);
    // A far value would make infinities of the branch that isn't taken, and NaN of its gradient.
    let small = x.clone().mask_fill(near.clone().bool_not(), 0.0);
    let series = [5040.0, 720.0, 120.0, 24.0, 6.0, 2.0]
        .into_iter()
        .fold(small.clone() / 40320.0, |sum, factorial| (sum + 1.0 / factorial) * small.clone());
    (x.clone().exp() - x - 1.0).mask_where(near, series * small)
}
