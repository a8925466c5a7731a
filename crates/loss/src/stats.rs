//! Statistics of each token of a micro-batch, and their weighted sums.

use std::ops::AddAssign;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Holds detached values per token, each `[B, T]`. Tokens of weight 0 have those of a ratio of 1.
#[derive(Debug, Clone)]
pub struct TokenStats {
    /// The importance ratio ρ.
    pub ratio: Tensor<2>,
    /// 1 where a clip, also the dual clip, acts on the surrogate and removes or bounds the token's gradient.
    pub clipped: Tensor<2>,
    /// `ρ - ln ρ - 1`, the estimate k3 of `KL(old ‖ new)`, in nats; never negative.
    pub old_kl: Tensor<2>,
    /// The estimate of the KL to the reference, in nats, if there is a reference.
    pub ref_kl: Option<Tensor<2>>,
    /// The policy's entropy, in nats, if it was computed.
    pub entropy: Option<Tensor<2>>,
    /// The bounded importance weight of stale rollouts, if they are weighed.
    pub tis_weight: Option<Tensor<2>>,
    /// 1 where the bounds changed that weight.
    pub tis_cut: Option<Tensor<2>>,
}

impl TokenStats {
    /// Returns sums over the micro-batch, weighted by the loss's weights `[B, T]`. Reads the device once.
    pub fn sums(&self, weights: &Tensor<2>) -> LossSums {
        let weights = weights.clone().inner();
        let sums = self.columns(&weights).map(|column| (column * weights.clone()).sum());
        LossSums::of(&read(Tensor::cat(sums.to_vec(), 0)))
    }

    /// Returns the weighted sums by turn index, first turn first. `turns` holds the turn of each token, from
    /// 0, row after row. Reads the device once.
    ///
    /// # Panics
    /// If there are not `B·T` turns.
    pub fn sums_by_turn(&self, weights: &Tensor<2>, turns: &[i32]) -> Vec<LossSums> {
        let weights = weights.clone().inner();
        let columns = self.columns(&weights).map(|column| (column * weights.clone()).flatten::<1>(0, 1));
        let values = read(Tensor::cat(columns.to_vec(), 0));
        let tokens = turns.len();
        assert_eq!(values.len(), COLUMNS * tokens, "every token has a turn");
        let mut by_turn: Vec<LossSums> = Vec::new();
        for (t, turn) in turns.iter().enumerate() {
            let turn = usize::try_from(*turn).expect("turns count from 0");
            let sums: Vec<f64> = (0..COLUMNS).map(|c| values[c * tokens + t]).collect();
            if sums[0] != 0.0 {
                by_turn.resize(by_turn.len().max(turn + 1), LossSums::default());
                by_turn[turn] += LossSums::of(&sums);
            }
        }
        by_turn
    }

    /// Returns ones and the columns, in the order of [`LossSums`]; zeros for columns that were not computed.
    fn columns(&self, like: &Tensor<2>) -> [Tensor<2>; COLUMNS] {
        let or_zero = |x: &Option<Tensor<2>>| x.clone().map_or_else(|| like.zeros_like(), Tensor::inner);
        let [ratio, clipped, old_kl] = [&self.ratio, &self.clipped, &self.old_kl].map(|x| x.clone().inner());
        let optional = [&self.ref_kl, &self.entropy, &self.tis_weight, &self.tis_cut];
        let [ref_kl, entropy, tis_weight, tis_cut] = optional.map(or_zero);
        [like.ones_like(), ratio, clipped, old_kl, ref_kl, entropy, tis_weight, tis_cut]
    }
}

/// Number of fields of [`LossSums`].
const COLUMNS: usize = 8;

fn read(values: Tensor<1>) -> Vec<f64> {
    values.into_data().convert::<f64>().try_into_vec().expect("f64 sums")
}

/// Holds weighted sums of [`TokenStats`]. Add up those of all micro-batches, then take the
/// [`LossSums::means`].
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct LossSums {
    /// Sum of the weights.
    pub weight: f64,
    /// Importance ratio.
    pub ratio: f64,
    /// Clipped tokens.
    pub clipped: f64,
    /// KL between the old and the current policy, in nats.
    pub old_kl: f64,
    /// KL to the reference, in nats; 0 without a reference.
    pub ref_kl: f64,
    /// Entropy, in nats; 0 where it was not computed.
    pub entropy: f64,
    /// Importance weight of stale rollouts; 0 where they aren't weighed.
    pub tis_weight: f64,
    /// Tokens whose importance weight was bounded or masked.
    pub tis_cut: f64,
}

impl LossSums {
    fn of(sums: &[f64]) -> Self {
        let [weight, ratio, clipped, old_kl, ref_kl, entropy, tis_weight, tis_cut] = *sums else {
            unreachable!("there are {COLUMNS} sums")
        };
        Self { weight, ratio, clipped, old_kl, ref_kl, entropy, tis_weight, tis_cut }
    }

    /// Divides by the sum of the weights, which becomes 1. All means are 0 if nothing was trained on.
    #[must_use]
    pub fn means(self) -> Self {
        let scale = if self.weight > 0.0 { 1.0 / self.weight } else { 0.0 };
        Self {
            weight: self.weight * scale,
            ratio: self.ratio * scale,
            clipped: self.clipped * scale,
            old_kl: self.old_kl * scale,
            ref_kl: self.ref_kl * scale,
            entropy: self.entropy * scale,
            tis_weight: self.tis_weight * scale,
            tis_cut: self.tis_cut * scale,
        }
    }
}

impl AddAssign for LossSums {
    fn add_assign(&mut self, other: Self) {
        self.weight += other.weight;
        self.ratio += other.ratio;
        self.clipped += other.clipped;
        self.old_kl += other.old_kl;
        self.ref_kl += other.ref_kl;
        self.entropy += other.entropy;
        self.tis_weight += other.tis_weight;
        self.tis_cut += other.tis_cut;
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
