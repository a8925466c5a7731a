//! Estimates of the KL divergence to the reference policy, per token.

use burn::tensor::Tensor;
use turnwise_credit::KlEstimator;

/// Returns the estimate at each token. `input_clamp` bounds `|d|`, `output_clamp` bounds the estimate; 0 is
/// none.
///
/// # Shapes
/// All `[B, T]`.
pub(super) fn estimate(
    estimator: KlEstimator,
    logprobs: Tensor<2>,
    reference: Tensor<2>,
    input_clamp: f64,
    output_clamp: f64,
) -> Tensor<2> {
    let d = clamped(logprobs - reference, input_clamp);
    let estimate = match estimator {
        KlEstimator::K1 => d,
        KlEstimator::K2 => d.clone() * d * 0.5,
        KlEstimator::K3 => k3(-d),
    };
    clamped(estimate, output_clamp)
}

/// Returns `exp(x) - x - 1`, which is never negative. For small `x` the plain difference has no correct
/// digits in f32, so it is computed as `x²` times the Taylor series of the rest.
pub(super) fn k3(x: Tensor<2>) -> Tensor<2> {
    let near = x.clone().abs().lower_elem(0.5);
    // Large values would make the unused branch infinite, and its gradient NaN.
    let small = x.clone().mask_fill(near.clone().bool_not(), 0.0);
    let series = [5040.0, 720.0, 120.0, 24.0, 6.0, 2.0]
        .into_iter()
        .fold(small.clone() / 40320.0, |sum, factorial| (sum + 1.0 / factorial) * small.clone());
    (x.clone().exp() - x - 1.0).mask_where(near, series * small)
}

/// Clamps `x` to `[-bound, bound]`; 0 is no bound.
pub(super) fn clamped(x: Tensor<2>, bound: f64) -> Tensor<2> {
    if bound > 0.0 { x.clamp(-bound, bound) } else { x }
}
