//! ReBN, return batch normalisation (GEM, arXiv:2510.01051).

use super::{AdvantageEstimator, Credit};
use crate::{
    episode::{Episode, PerTurn},
    moments::z_scored,
    returns::discounted_returns,
};

z_scored! {
    /// Normalises discounted returns of all turns over the whole batch, not the group: ReBN (GEM,
    /// arXiv:2510.01051).
    ///
    /// ```text
    /// A_ij = (R_ij - mean over the batch) / (std over the batch + ε)
    /// ```
    ///
    /// It reads the weighted sum of all names.
    pub struct Rebn {
        /// Discount per turn, γ.
        #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1>::read")]
        pub gamma: f64 = 0.9,
    }
}

impl AdvantageEstimator for Rebn {
    fn norm_scope(&self) -> &'static str {
        "batch"
    }

    fn credit(&self, groups: &[Vec<Episode>]) -> Vec<Credit> {
        let returns: Vec<PerTurn> = groups
            .iter()
            .map(|g| g.iter().map(|e| discounted_returns(&e.rewards, self.gamma)).collect())
            .collect();
        let all: Vec<f64> = returns.iter().flatten().flatten().copied().collect();
        let z = self.z_score().among(&all);
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
