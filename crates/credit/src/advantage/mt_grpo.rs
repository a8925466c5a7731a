//! Multi-turn GRPO (arXiv:2505.11821).

use super::{AdvantageEstimator, Credit};
use crate::{episode::Episode, moments::z_scored};

z_scored! {
    /// Adds λ times a turn advantage to the outcome advantage of the first turn: MT-GRPO (arXiv:2505.11821).
    /// The first turn is the text before the first tool result.
    ///
    /// ```text
    /// A_i1 = A^O_i + λ·A^T_i      A_ij = A^O_i for j > 1
    /// ```
    ///
    /// Deviation, ours: the paper's turn reward rates the first tool call, here it is `fmt_i1`. Its outcome
    /// reward rates the rest, here `Σ_j r_ij - fmt_i1`. Both are z-scored in the group.
    ///
    /// It reads the weighted sum of all names, and `fmt` of the first turn apart, with its weight.
    pub struct MtGrpo {
        /// λ, the weight of the turn advantage.
        #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1_000>::read")]
        pub lambda: f64 = 1.0,
    }
}

impl AdvantageEstimator for MtGrpo {
    fn credit(&self, groups: &[Vec<Episode>]) -> Vec<Credit> {
        let z = self.z_score();
        groups
            .iter()
            .map(|group| {
                let turn: Vec<f64> =
                    group.iter().map(|e| e.formats.first().copied().unwrap_or(0.0)).collect();
                let outcome: Vec<f64> = group.iter().zip(&turn).map(|(e, t)| e.total() - t).collect();
                let (z_turn, z_outcome) = (z.among(&turn), z.among(&outcome));
                let mut credit = Credit { returns: Vec::new(), advantages: Vec::new() };
                for (episode, (turn, outcome)) in group.iter().zip(turn.iter().zip(&outcome)) {
                    let (mut returns, mut advantages) =
                        (episode.copied(*outcome), episode.copied(z_outcome(*outcome)));
                    if !advantages.is_empty() {
                        returns[0] += turn;
                        advantages[0] += self.lambda * z_turn(*turn);
                    }
                    credit.returns.push(returns);
                    credit.advantages.push(advantages);
                }
                credit
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::testing::{assert_per_turn, episodes};

    #[test]
    fn the_turn_advantage_reaches_the_first_turn_only() {
        let group: [&[(f64, f64)]; 2] = [&[(0.0, -0.1), (1.0, 0.0)], &[(0.0, 0.0), (0.0, 0.0)]];
        let credit =
            MtGrpo { lambda: 0.5, eps: 0.0, ..MtGrpo::default() }.credit(&[episodes(&group)]).remove(0);
        let half = 0.5_f64.sqrt();
        let first = half - 0.5 * half;
        assert_per_turn(&credit.advantages, &[&[first, half], &[-first, -half]]);
        assert_per_turn(&credit.returns, &[&[0.9, 1.0], &[0.0, 0.0]]);
    }
}
