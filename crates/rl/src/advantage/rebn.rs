//! ReBN, return batch normalisation (GEM, arXiv:2510.01051).

use serde::{Deserialize, Serialize};
use turnwise_runfile::Within;

use super::{AdvantageEstimator, Credit};
use crate::{
    episode::{Episode, PerTurn},
    moments::ZScore,
    returns::discounted_returns,
};

/// ReBN (GEM, arXiv:2510.01051): the discounted returns of all turns, normalised over the whole batch
/// instead of the group.
///
/// ```text
/// A_ij = (R_ij - mean over the batch) / (std over the batch + ε)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rebn {
    /// Discount per turn, γ.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub gamma: f64,
    /// Delta degrees of freedom of σ: 0 or 1.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub ddof: u8,
    /// ε, added to σ.
    #[serde(deserialize_with = "Within::<0, 1_000>::read")]
    pub eps: f64,
    /// Lower bound of σ; 0 is the paper's formula.
    #[serde(deserialize_with = "Within::<0, 1_000>::read")]
    pub std_floor: f64,
}

impl Default for Rebn {
    fn default() -> Self {
        Self { gamma: 0.9, ddof: 1, eps: 1e-6, std_floor: 0.0 }
    }
}

impl AdvantageEstimator for Rebn {
    fn norm_scope(&self) -> &'static str {
        "batch"
    }

    fn credit(&self, groups: &[Vec<Episode>]) -> Vec<Credit> {
        let returns: Vec<PerTurn> = groups
            .iter()
            .map(|g| g.iter().map(|e| discounted_returns(&e.totals(), self.gamma)).collect())
            .collect();
        let all: Vec<f64> = returns.iter().flatten().flatten().copied().collect();
        let z = ZScore { ddof: self.ddof, eps: self.eps, std_floor: self.std_floor }.among(&all);
        returns
            .into_iter()
            .map(|returns| Credit {
                advantages: returns.iter().map(|t| t.iter().map(|r| z(*r)).collect()).collect(),
                returns,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::testing::{assert_per_turn, episodes};

    #[test]
    fn one_baseline_for_the_whole_batch() {
        let solved: [&[(f64, f64)]; 1] = [&[(0.0, 0.0), (1.0, 0.0)]];
        let failed: [&[(f64, f64)]; 1] = [&[(0.0, 0.0)]];
        let rebn = Rebn { gamma: 0.5, eps: 0.0, ..Rebn::default() };
        let credit = rebn.credit(&[episodes(&solved), episodes(&failed)]);
        // Returns 0.5 1 | 0: μ = 0.5, σ = 0.5.
        assert_per_turn(&credit[0].advantages, &[&[0.0, 1.0]]);
        assert_per_turn(&credit[1].advantages, &[&[-1.0]]);
    }
}
