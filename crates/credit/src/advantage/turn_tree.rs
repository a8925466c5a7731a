//! Leave-one-out over the tree of a group's states: a proposal of this project.

use serde::{Deserialize, Serialize};

use super::{AdvantageEstimator, Credit};
use crate::{
    episode::{Episode, PerTurn},
    moments::{finite, mean},
    returns::discounted_returns,
    tree::Tree,
};

/// Credits a turn with the change that it made to the group's own estimate of success. It is a proposal
/// of this project without a paper.
///
/// Trajectories that made the same calls and saw the same observations, in the same order, are in the same
/// state `h`: their environments can't be told apart. This makes a group a tree whose root is the prompt.
/// With `R_ij = Σ_{k≥j} r_ik`, not discounted, and `N(h)` the trajectories through `h`:
///
/// ```text
/// A_ij = Q_ij - V_ij
/// Q_ij = r_ij + mean of R_k,j+1 over k in N(h_i,j+1)                 r_ij in the last turn
/// V_ij = (Σ R_kj + V_i,j-1) / (n + 1),   k in N(h_ij) without i, n their number
/// V_i1 = mean of R_k1 over k ≠ i
/// ```
///
/// A turn is blamed less for a later mistake if others succeeded after it. A later turn is blamed less for an
/// earlier mistake the more others were in its state. The baseline never uses the trajectory's rewards, as
/// long as shaping is off. The previous state's value counts in it as one more trajectory. If no two
/// trajectories share a state, all turns have the baseline of the prompt: that is RLOO on returns. There is
/// no σ: the scale is the reward's.
///
/// It is unbiased as far as equal states mean equal prospects, whatever else the policy wrote. Related work:
/// VinePPO (arXiv:2410.01679) takes values from additional rollouts, GiGPO (arXiv:2505.10978) compares
/// returns at equal observations.
///
/// It reads the weighted sum of all names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TurnTree {}

impl AdvantageEstimator for TurnTree {
    fn norm_scope(&self) -> &'static str {
        "others"
    }

    fn credit(&self, groups: &[Vec<Episode>]) -> Vec<Credit> {
        groups.iter().map(|group| credit_in(group)).collect()
    }
}

fn credit_in(group: &[Episode]) -> Credit {
    let returns: PerTurn = group.iter().map(|e| discounted_returns(&e.rewards, 1.0)).collect();
    let tree = Tree::of(group);
    let advantages = (0..group.len()).map(|i| advantages(&tree, i, &group[i].rewards, &returns)).collect();
    Credit { returns, advantages }
}

/// Returns the advantages of trajectory `i`. `returns` are those of the group.
fn advantages(tree: &Tree, i: usize, rewards: &[f64], returns: &PerTurn) -> Vec<f64> {
    let path = tree.path(i);
    let mut baseline = None;
    let mut advantages = Vec::with_capacity(path.len());
    for (j, at) in path.iter().enumerate() {
        let others = tree.others(*at, i).map(|k| returns[k][j]);
        let votes: Vec<f64> = others.chain(baseline).collect();
        if votes.is_empty() {
            return vec![0.0; path.len()];
        }
        let before = mean(&votes);
        let after = path.get(j + 1).map_or(0.0, |next| {
            mean(&tree.visitors(*next).iter().map(|k| returns[*k][j + 1]).collect::<Vec<_>>())
        });
        advantages.push(finite(rewards[j] + after - before));
        baseline = Some(before);
    }
    advantages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::testing::{assert_per_turn, episodes};

    fn owned(keys: &[&[&str]]) -> Vec<Vec<String>> {
        keys.iter().map(|keys| keys.iter().map(ToString::to_string).collect()).collect()
    }

    /// Returns the credit of trajectories that all made the same calls.
    fn credit(group: &[&[(f64, f64)]], states: &[&[&str]]) -> Credit {
        let calls = vec![String::new(); 8];
        let states = owned(states);
        let mut group = episodes(group);
        for (episode, states) in group.iter_mut().zip(&states) {
            (episode.states, episode.calls) = (states, &calls);
        }
        TurnTree::default().credit(&[group]).remove(0)
    }

    const RIGHT: &[(f64, f64)] = &[(0.0, 0.0), (1.0, 0.0)];
    const WRONG: &[(f64, f64)] = &[(0.0, 0.0), (0.0, 0.0)];

    /// Two went to `a`, one of them right, and two to `b`, neither right.
    #[test]
    fn blame_falls_on_the_turn_that_lost_it() {
        let states: [&[&str]; 4] = [&["", "a"], &["", "a"], &["", "b"], &["", "b"]];
        let credit = credit(&[RIGHT, WRONG, WRONG, WRONG], &states);
        assert_per_turn(&credit.returns, &[&[1.0, 1.0], &[0.0; 2], &[0.0; 2], &[0.0; 2]]);
        let third = 1.0 / 3.0;
        assert_per_turn(
            &credit.advantages,
            &[
                // Others: none of three was right; in `a` the other one wasn't.
                &[0.5, 1.0],
                // The turn to `a` was good, though this trajectory then failed where the other didn't.
                &[0.5 - third, -(1.0 + third) / 2.0],
                // The turn to `b` was the mistake; later turns lost little more.
                &[-third, -third / 2.0],
                &[-third, -third / 2.0],
            ],
        );
    }

    #[test]
    fn without_shared_states_each_turn_has_the_baseline_of_the_prompt() {
        let group = [RIGHT, WRONG, &[(0.0, -0.1), (0.0, 0.0)]];
        let expect: [&[f64]; 3] = [&[1.05, 1.05], &[-0.45, -0.45], &[-0.6, -0.5]];
        assert_per_turn(&credit(&group, &[]).advantages, &expect);
        let own: [&[&str]; 3] = [&["", "a"], &["", "b"], &["", "c"]];
        assert_per_turn(&credit(&group, &own).advantages, &expect);
    }

    /// The same observation after different ones is another state.
    #[test]
    fn a_state_is_all_that_happened() {
        let turns: &[(f64, f64)] = &[(0.0, 0.0), (0.0, 0.0), (1.0, 0.0)];
        let wrong: &[(f64, f64)] = &[(0.0, 0.0); 3];
        let apart: [&[&str]; 2] = [&["", "a", "x"], &["", "b", "x"]];
        let last = |states| credit(&[turns, wrong], states).advantages[0][2];
        assert_eq!(last(&apart), 1.0);
        let together: [&[&str]; 2] = [&["", "a", "x"], &["", "a", "x"]];
        assert_eq!(credit(&[turns, wrong], &together).advantages[0][..2], [0.5, 0.5]);
    }

    /// A call may be the answer, and its output the same for a wrong one.
    #[test]
    fn calls_are_told_apart_where_observations_are_not() {
        let states = owned(&[&["", "ok"], &["", "ok"]]);
        let first = |calls: &[&[&str]]| {
            let calls = owned(calls);
            let mut group = episodes(&[RIGHT, WRONG]);
            for (i, episode) in group.iter_mut().enumerate() {
                episode.states = &states[i];
                episode.calls = calls.get(i).map_or(&[], Vec::as_slice);
            }
            let credit = TurnTree::default().credit(&[group]).remove(0);
            (credit.advantages[0][0], credit.advantages[1][0])
        };
        assert_eq!(first(&[&["f"], &["f"]]), (0.5, -0.5));
        assert_eq!(first(&[&["f"], &["g"]]), (1.0, -1.0));
        // Unknown states are never equal.
        assert_eq!(first(&[]), (1.0, -1.0));
    }

    #[test]
    fn a_penalty_stays_with_its_turn() {
        let fined: &[(f64, f64)] = &[(0.0, 0.0), (1.0, -0.1)];
        let states: [&[&str]; 3] = [&["", "a"], &["", "a"], &["", "a"]];
        let credit = credit(&[RIGHT, RIGHT, fined], &states);
        let (first, last): (Vec<f64>, Vec<f64>) =
            credit.advantages.iter().map(|turns| (turns[0], turns[1])).unzip();
        assert!((first[0] - first[1]).abs() < 1e-12 && (first[0] - first[2]).abs() < 0.06, "{first:?}");
        assert!((last[0] - last[2] - 0.1).abs() < 0.06 && last[2] < -0.09, "{last:?}");
    }

    #[test]
    fn a_trajectory_without_others_gets_zero_and_short_ones_are_not_preferred() {
        assert_per_turn(&credit(&[RIGHT], &[&["", "a"]]).advantages, &[&[0.0; 2]]);
        let long: &[(f64, f64)] = &[(0.0, 0.0), (0.0, 0.0), (1.0, 0.0)];
        assert_per_turn(
            &credit(&[RIGHT, long, &[(1.0, 0.0)]], &[]).advantages,
            &[&[0.0; 2], &[0.0; 3], &[0.0]],
        );
    }
}
