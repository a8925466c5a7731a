//! What happened at each token of a micro-batch, and its weighted sums.

use std::ops::AddAssign;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Detached values per token, each `[B, T]`. Tokens of weight 0 hold what a ratio of 1 gives.
#[derive(Debug, Clone)]
pub struct TokenStats {
    /// The importance ratio ρ.
    pub ratio: Tensor<2>,
    /// 1 where the surrogate was clipped, so that the token's gradient is cut or bounded.
    pub clipped: Tensor<2>,
    /// `ρ - ln ρ - 1`, an estimate of `KL(old ‖ new)`; never negative.
    pub old_kl: Tensor<2>,
    /// The estimate of the KL to the reference, if there is a reference.
    pub ref_kl: Option<Tensor<2>>,
}

impl TokenStats {
    /// Sums over the micro-batch with the loss's own weights `[B, T]`. Reads the device once.
    pub fn sums(&self, weights: &Tensor<2>) -> LossSums {
        let weights = weights.clone().inner();
        let sum = |x: &Tensor<2>| (x.clone().inner() * weights.clone()).sum();
        let ref_kl = self.ref_kl.as_ref().map_or_else(|| weights.clone().sum() * 0.0, sum);
        let sums = [weights.clone().sum(), sum(&self.ratio), sum(&self.clipped), sum(&self.old_kl), ref_kl];
        let read: Vec<f32> =
            Tensor::cat(sums.to_vec(), 0).into_data().convert::<f32>().try_to_vec().expect("five f32 sums");
        let [weight, ratio, clipped, old_kl, ref_kl] = read[..] else { unreachable!("five sums were read") };
        LossSums {
            weight: f64::from(weight),
            ratio: f64::from(ratio),
            clipped: f64::from(clipped),
            old_kl: f64::from(old_kl),
            ref_kl: f64::from(ref_kl),
        }
    }
}

/// Weighted sums of [`TokenStats`]. Add up those of all micro-batches, then take the [`LossSums::means`].
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct LossSums {
    /// Sum of the weights.
    pub weight: f64,
    /// Importance ratio.
    pub ratio: f64,
    /// Clipped tokens.
    pub clipped: f64,
    /// KL between the old and the current policy.
    pub old_kl: f64,
    /// KL to the reference.
    pub ref_kl: f64,
}

impl AddAssign for LossSums {
    fn add_assign(&mut self, other: Self) {
        self.weight += other.weight;
        self.ratio += other.ratio;
        self.clipped += other.clipped;
        self.old_kl += other.old_kl;
        self.ref_kl += other.ref_kl;
    }
}

impl LossSums {
    /// Divides by the sum of the weights, which becomes 1; all 0 if nothing was trained on.
    #[must_use]
    pub fn means(self) -> Self {
        let scale = if self.weight > 0.0 { 1.0 / self.weight } else { 0.0 };
        Self {
            weight: self.weight * scale,
            ratio: self.ratio * scale,
            clipped: self.clipped * scale,
            old_kl: self.old_kl * scale,
            ref_kl: self.ref_kl * scale,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn micro_batches_add_up() {
        let mut sums = LossSums { weight: 0.25, ratio: 0.5, ..LossSums::default() };
        sums += LossSums { weight: 0.25, ratio: 0.1, clipped: 0.25, ..LossSums::default() };
        let means = sums.means();
        assert!((means.ratio - 1.2).abs() < 1e-12);
        assert!((means.clipped - 0.5).abs() < 1e-12);
        assert_eq!(LossSums::default().means(), LossSums::default());
    }
}
