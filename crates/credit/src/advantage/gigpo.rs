//! GiGPO, Group-in-Group Policy Optimization (arXiv:2505.10978).

use std::collections::HashMap;

use super::{AdvantageEstimator, Credit};
use crate::{
    episode::{Episode, PerTurn},
    moments::z_scored,
    returns::discounted_returns,
};

z_scored! {
    /// Adds ω times a state advantage to the episode advantage: GiGPO (arXiv:2505.10978). The state advantage
    /// compares the discounted returns of turns that follow an identical observation.
    ///
    /// ```text
    /// A_ij = z(Σ_k r_ik) + ω · z(R_ij among the turns of the group with the same state)
    /// ```
    ///
    /// A state that occurs once gives 0. The first turn's state is the prompt, which the whole group shares.
    ///
    /// It reads the weighted sum of all names.
    pub struct Gigpo {
        /// ω, the weight of the state advantage.
        #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1_000>::read")]
        pub omega: f64 = 1.0,
        /// Discount per turn, γ, of the returns that the state advantage compares.
        #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1>::read")]
        pub gamma: f64 = 0.95,
    }
}

/// Identifies a state by its key. The first turn's state is the prompt, whatever its key.
#[derive(PartialEq, Eq, Hash)]
enum State<'a> {
    Prompt,
    Key(&'a str),
    Unknown { trajectory: usize, turn: usize },
}

fn state<'a>(episode: &Episode<'a>, trajectory: usize, turn: usize) -> State<'a> {
    match episode.states.get(turn) {
        _ if turn == 0 => State::Prompt,
        Some(key) => State::Key(key),
        None => State::Unknown { trajectory, turn },
    }
}

impl AdvantageEstimator for Gigpo {
    fn norm_scope(&self) -> &'static str {
        "group+state"
    }

    fn credit(&self, groups: &[Vec<Episode>]) -> Vec<Credit> {
        groups.iter().map(|group| self.group_credit(group)).collect()
    }
}

impl Gigpo {
    fn group_credit(&self, group: &[Episode]) -> Credit {
        let z = self.z_score();
        let returns: PerTurn = group.iter().map(|e| discounted_returns(&e.rewards, self.gamma)).collect();
        let mut met: HashMap<State, Vec<f64>> = HashMap::new();
        for (i, turns) in returns.iter().enumerate() {
            for (j, value) in turns.iter().enumerate() {
                met.entry(state(&group[i], i, j)).or_default().push(*value);
            }
        }
        let z_state: HashMap<_, _> = met.iter().map(|(state, values)| (state, z.among(values))).collect();
        let totals: Vec<f64> = group.iter().map(Episode::total).collect();
        let z_episode = z.among(&totals);
        let advantage = |i: usize, j: usize| {
            z_episode(totals[i]) + self.omega * z_state[&state(&group[i], i, j)](returns[i][j])
        };
        let advantages = returns
            .iter()
            .enumerate()
            .map(|(i, turns)| (0..turns.len()).map(|j| advantage(i, j)).collect())
            .collect();
        Credit { returns, advantages }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::testing::{assert_per_turn, episodes};

    #[test]
    fn turns_from_the_same_state_are_compared_and_a_lone_state_gives_zero() {
        let keys = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let states = [keys(&["p", "x"]), keys(&["p", "x"]), keys(&["p", "lone"])];
        let mut group =
            episodes(&[&[(0.0, 0.0), (1.0, 0.0)], &[(0.0, 0.0), (0.0, 0.0)], &[(0.0, 0.0), (0.0, 0.0)]]);
        for (episode, states) in group.iter_mut().zip(&states) {
            episode.states = states;
        }
        let gigpo = Gigpo { eps: 0.0, gamma: 1.0, ..Gigpo::default() };
        let credit = gigpo.credit(&[group]).remove(0);
        // Episode scores of 1 0 0 are 2/√3 and -1/√3; state p compares the same three returns, state x the
        // first two.
        let (high, low, half) = (2.0 / 3.0_f64.sqrt(), -1.0 / 3.0_f64.sqrt(), 0.5_f64.sqrt());
        assert_per_turn(
            &credit.advantages,
            &[&[2.0 * high, high + half], &[2.0 * low, low - half], &[2.0 * low, low]],
        );
    }

    #[test]
    fn without_keys_only_the_prompt_is_shared() {
        let group = episodes(&[&[(0.0, 0.0), (1.0, 0.0)], &[(0.0, 0.0), (0.0, 0.0)]]);
        let gigpo = Gigpo { eps: 0.0, ..Gigpo::default() };
        let credit = gigpo.credit(&[group]).remove(0);
        let half = 0.5_f64.sqrt();
        assert_per_turn(&credit.advantages, &[&[2.0 * half, half], &[-2.0 * half, -half]]);
    }
}
