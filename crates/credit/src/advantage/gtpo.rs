//! GTPO, Group **Turn** Policy Optimization (arXiv:2511.14846).

use serde::{Deserialize, Serialize};

use super::{AdvantageEstimator, Credit};
use crate::{
    episode::{Episode, PerTurn},
    moments::{ZScore, z_scored},
    returns::discounted_returns,
};

z_scored! {
    /// Normalises discounted returns of turns in their group: GTPO, Group **Turn** Policy Optimization
    /// (arXiv:2511.14846). Every token of a turn gets the turn's advantage.
    ///
    /// ```text
    /// R_ij = Σ_{k=j..T_i} γ^(k-j) · r_ik
    /// A_ij = (R_ij - μ) / (max(σ, std_floor) + ε)
    /// ```
    ///
    /// Not to be confused with Group *Token* Policy Optimization (arXiv:2508.04349, entropy shaping), with
    /// Group-relative *Trajectory*-based Policy Optimization (arXiv:2508.03772, conflict-token masking), or
    /// with the hybrid of MT-GRPO in arXiv:2604.02869.
    ///
    /// The paper's text doesn't settle the set over which μ and σ are taken, so it is a key: `norm_scope`.
    ///
    /// Two properties are known and tested. In a group that is solved throughout, GTPO still prefers short
    /// trajectories where GRPO gives 0; `skip_uniform_outcome` turns that off. One small penalty in an
    /// otherwise uniform group gets a large advantage; `std_floor` bounds it.
    ///
    /// It reads the weighted sum of all names, and `acc` alone for `skip_uniform_outcome`.
    pub struct Gtpo {
        /// Discount per turn, γ.
        #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1>::read")]
        pub gamma: f64 = 0.9,
        /// The set over which μ and σ are taken.
        pub norm_scope: NormScope = NormScope::Pooled,
        /// Whether a group whose trajectories are all right or all wrong gets 0, as with GRPO.
        pub skip_uniform_outcome: bool = false,
    }
}

/// Names the set over which GTPO takes μ and σ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormScope {
    /// All turns of all trajectories of the group, each counted once.
    Pooled,
    /// The turns with the same index across the group. Biased: which trajectories reach turn `j` depends on
    /// their own stopping turns, so the baseline does too.
    TurnIndex,
    /// The returns `R_i1`, one per trajectory.
    FirstReturn,
}

impl NormScope {
    /// Returns the name used in run files and records.
    pub fn name(self) -> &'static str {
        match self {
            NormScope::Pooled => "pooled",
            NormScope::TurnIndex => "turn_index",
            NormScope::FirstReturn => "first_return",
        }
    }

    /// Normalises the `returns` of one group.
    fn normalise(self, returns: &PerTurn, z: ZScore) -> PerTurn {
        match self {
            NormScope::Pooled => {
                let z = z.among(&returns.concat());
                returns.iter().map(|r| r.iter().map(|x| z(*x)).collect()).collect()
            }
            NormScope::FirstReturn => {
                let first: Vec<f64> = returns.iter().filter_map(|r| r.first().copied()).collect();
                let z = z.among(&first);
                returns.iter().map(|r| r.iter().map(|x| z(*x)).collect()).collect()
            }
            NormScope::TurnIndex => {
                let longest = returns.iter().map(Vec::len).max().unwrap_or(0);
                let at: Vec<_> = (0..longest)
                    .map(|j| {
                        let peers: Vec<f64> = returns.iter().filter_map(|r| r.get(j).copied()).collect();
                        z.among(&peers)
                    })
                    .collect();
                returns.iter().map(|r| r.iter().zip(&at).map(|(x, z)| z(*x)).collect()).collect()
            }
        }
    }
}

impl AdvantageEstimator for Gtpo {
    fn norm_scope(&self) -> &'static str {
        self.norm_scope.name()
    }

    fn credit(&self, groups: &[Vec<Episode>]) -> Vec<Credit> {
        let z = self.z_score();
        groups
            .iter()
            .map(|group| {
                let returns: PerTurn =
                    group.iter().map(|e| discounted_returns(&e.rewards, self.gamma)).collect();
                let advantages = if self.skip_uniform_outcome && uniform_outcome(group) {
                    group.iter().map(|e| e.copied(0.0)).collect()
                } else {
                    self.norm_scope.normalise(&returns, z)
                };
                Credit { returns, advantages }
            })
            .collect()
    }
}

/// Whether all trajectories of a group have the same accuracy before shaping.
fn uniform_outcome(group: &[Episode]) -> bool {
    group.windows(2).all(|pair| pair[0].outcome == pair[1].outcome)
}

#[cfg(test)]
#[expect(
    clippy::unreadable_literal,
    clippy::approx_constant,
    reason = "the fixtures' numbers, as they are printed elsewhere"
)]
mod tests {
    use super::*;
    use crate::advantage::testing::{assert_per_turn, episodes};

    /// Fixture A: T = [3, 2, 1, 3], accuracies 1 1 0 0, violations in trajectory 0 turn 2 and 3 turn 1.
    const A: [&[(f64, f64)]; 4] = [
        &[(0.0, 0.0), (0.0, -0.1), (1.0, 0.0)],
        &[(0.0, 0.0), (1.0, 0.0)],
        &[(0.0, 0.0)],
        &[(0.0, -0.1), (0.0, 0.0), (0.0, 0.0)],
    ];

    fn check(gtpo: Gtpo, group: &[&[(f64, f64)]], returns: &[&[f64]], advantages: &[&[f64]]) {
        let credit = gtpo.credit(&[episodes(group)]).remove(0);
        assert_per_turn(&credit.returns, returns);
        assert_per_turn(&credit.advantages, advantages);
    }

    #[test]
    fn fixture_a_in_all_three_scopes() {
        let returns: [&[f64]; 4] = [&[0.72, 0.8, 1.0], &[0.9, 1.0], &[0.0], &[-0.1, 0.0, 0.0]];
        check(
            Gtpo::default(),
            &A,
            &returns,
            &[
                &[0.491848, 0.655797, 1.065670],
                &[0.860733, 1.065670],
                &[-0.983695],
                &[-1.188632, -0.983695, -0.983695],
            ],
        );
        check(
            Gtpo { norm_scope: NormScope::TurnIndex, ..Gtpo::default() },
            &A,
            &returns,
            &[
                &[0.675155, 0.377964, 0.707106],
                &[1.032590, 0.755928],
                &[-0.754585],
                &[-0.953160, -1.133891, -0.707106],
            ],
        );
        check(
            Gtpo { norm_scope: NormScope::FirstReturn, ..Gtpo::default() },
            &A,
            &returns,
            &[
                &[0.675155, 0.834015, 1.231165],
                &[1.032590, 1.231165],
                &[-0.754585],
                &[-0.953160, -0.754585, -0.754585],
            ],
        );
    }

    #[test]
    fn fixture_c_a_solved_group_prefers_short_trajectories() {
        let group: Vec<Vec<(f64, f64)>> = (1..=4)
            .map(|turns| (1..=turns).map(|j| (f64::from(u8::from(j == turns)), 0.0)).collect())
            .collect();
        let group: Vec<&[(f64, f64)]> = group.iter().map(Vec::as_slice).collect();
        let returns: [&[f64]; 4] = [&[1.0], &[0.9, 1.0], &[0.81, 0.9, 1.0], &[0.729, 0.81, 0.9, 1.0]];
        check(
            Gtpo::default(),
            &group,
            &returns,
            &[
                &[0.977406],
                &[-0.050361, 0.977406],
                &[-0.975351, -0.050361, 0.977406],
                &[-1.807842, -0.975351, -0.050361, 0.977406],
            ],
        );
        let skip = Gtpo { skip_uniform_outcome: true, ..Gtpo::default() };
        check(skip, &group, &returns, &[&[0.0], &[0.0; 2], &[0.0; 3], &[0.0; 4]]);
    }

    #[test]
    fn fixture_d_one_penalty_in_a_uniform_group_is_bounded_by_the_floor() {
        let mut group: Vec<Vec<(f64, f64)>> = vec![vec![(0.0, 0.0); 3]; 8];
        group[0][2].1 = -0.1;
        let group: Vec<&[(f64, f64)]> = group.iter().map(Vec::as_slice).collect();
        let credit = Gtpo::default().credit(&[episodes(&group)]).remove(0);
        let mut expect: Vec<&[f64]> = vec![&[0.368444; 3]; 8];
        expect[0] = &[-2.274563, -2.568230, -2.894527];
        assert_per_turn(&credit.advantages, &expect);

        let floored = Gtpo { std_floor: 0.5, ..Gtpo::default() }.credit(&[episodes(&group)]).remove(0);
        assert!(floored.advantages.concat().iter().all(|a| a.abs() <= 0.1 / 0.5));
    }

    /// The turn-index scope is biased: the winner's credit depends on when the losers stop, not on their
    /// rewards. If no other trajectory goes on, the winning turn gets 0.
    #[test]
    fn turn_index_pays_the_winner_by_how_long_the_losers_last() {
        let advantage_of_the_winning_turn = |norm_scope, losers: &[(f64, f64)]| {
            let group = [&[(0.0, 0.0), (1.0, 0.0)], losers, losers];
            Gtpo { norm_scope, ..Gtpo::default() }.credit(&[episodes(&group)]).remove(0).advantages[0][1]
        };
        let (short, long) = ([(0.0, 0.0); 1].as_slice(), [(0.0, 0.0); 2].as_slice());
        assert_eq!(advantage_of_the_winning_turn(NormScope::TurnIndex, short), 0.0);
        assert!(advantage_of_the_winning_turn(NormScope::TurnIndex, long) > 1.1);
        for losers in [short, long] {
            assert!(advantage_of_the_winning_turn(NormScope::Pooled, losers) > 0.9);
        }
    }
}
