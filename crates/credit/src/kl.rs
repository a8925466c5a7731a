//! Estimators of the KL divergence to the reference policy, per token.

use serde::{Deserialize, Serialize};

/// Chooses Schulman's estimator of `KL(π ‖ π_ref)` from one sampled token. `d = logp - ref_logp`
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
    /// Returns the estimate at one token, in nats. `turnwise-loss` has the same estimate on tensors.
    pub fn of(self, logprob: f64, reference: f64) -> f64 {
        let d = logprob - reference;
        match self {
            KlEstimator::K1 => d,
            KlEstimator::K2 => 0.5 * d * d,
            KlEstimator::K3 => ((-d).exp_m1() + d).max(0.0),
        }
    }
}
