//! Rewards of a step by name and turn index, as environments and scoring gave them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use turnwise_trajectory::Rewards;

use crate::normalise::Normalise;
use crate::reward_weights::RewardWeights;
use crate::scored::Group;

/// Holds means of the rewards of one name, before shaping, normalisation and weights.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NamedReward {
    /// Mean over trajectories of the sum over a trajectory's turns.
    pub mean: f64,
    /// Mean over the trajectories that reach a turn, first turn first. A turn without the name counts as 0.
    pub by_turn: Vec<f64>,
}

/// Returns the rewards of a step by name. Dropped trajectories count.
pub fn rewards_by_name(groups: &[Group]) -> BTreeMap<String, NamedReward> {
    let trajectories = || groups.iter().flat_map(|group| &group.trajectories);
    let longest = trajectories().map(|trajectory| trajectory.turns.len()).max().unwrap_or(0);
    let mut reached = vec![0_usize; longest];
    let mut found: BTreeMap<String, NamedReward> = BTreeMap::new();
    for (j, turn) in trajectories().flat_map(|trajectory| trajectory.turns.iter().enumerate()) {
        reached[j] += 1;
        for (name, reward) in turn.iter() {
            if !found.contains_key(name) {
                let none = NamedReward { mean: 0.0, by_turn: vec![0.0; longest] };
                found.insert(name.to_string(), none);
            }
            let sums = found.get_mut(name).expect("it is there now");
            sums.mean += reward;
            sums.by_turn[j] += reward;
        }
    }
    let count = trajectories().count() as f64;
    for sums in found.values_mut() {
        sums.mean /= count;
        sums.by_turn.iter_mut().zip(&reached).for_each(|(sum, reached)| *sum /= *reached as f64);
    }
    found
}

/// Returns whether a trajectory's accuracy is neither 0 nor 1: its environment grades.
pub fn is_graded(turns: &[Rewards]) -> bool {
    let acc: f64 = turns.iter().map(Rewards::acc).sum();
    [0.0, 1.0].iter().all(|whole| (acc - whole).abs() > 1e-9)
}

/// Says which names have a weight or a normalisation although no turn of the groups has such a reward.
///
/// None if there are no such names, or no turns. `acc` and `fmt` are left out, because a run may lack them.
pub fn absent_names(
    weights: &RewardWeights,
    normalise: &BTreeMap<String, Normalise>,
    groups: &[Group],
) -> Option<String> {
    let found = rewards_by_name(groups);
    let asked = weights.names().chain(normalise.keys().map(String::as_str));
    let absent: BTreeSet<&str> = asked
        .filter(|name| ![Rewards::ACC, Rewards::FMT].contains(name) && !found.contains_key(*name))
        .collect();
    if absent.is_empty() || found.is_empty() {
        return None;
    }
    let list = |names: &mut dyn Iterator<Item = &str>| {
        names.map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
    };
    let (absent, found) = (list(&mut absent.into_iter()), list(&mut found.keys().map(String::as_str)));
    Some(format!("[reward] names {absent}, and no turn has such a reward\n  hint: they are called {found}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_turn_has_are_told() {
        let line = r#"{"group":"g","trajectories":[{"turns":[{"progress":0.5},{"acc":1}]}]}"#;
        let groups: Vec<Group> = vec![serde_json::from_str(line).expect("a group")];
        let said = |weights: &str, groups: &[Group]| {
            let weights = toml::from_str(weights).expect("weights");
            absent_names(&weights, &BTreeMap::from([("progress".into(), Normalise::Group)]), groups)
        };
        assert_eq!(said("progress = 2.0\nfmt = 0.5", &groups), None);
        let expect = "[reward] names \"progres\", and no turn has such a reward\n  \
                      hint: they are called \"acc\", \"progress\"";
        assert_eq!(said("progres = 2.0\nacc = 1.0", &groups).as_deref(), Some(expect));
        assert_eq!(said("progres = 2.0", &[]), None);
    }

    #[test]
    fn means_are_by_name_and_over_the_trajectories_that_reach_the_turn() {
        let line = r#"{"group":"g","trajectories":[
            {"turns":[{"progress":0.5,"acc":0},{"acc":1}]},
            {"turns":[{"acc":0,"fmt":-0.1}]},
            {"turns":[]}]}"#;
        let group: Group = serde_json::from_str(line).expect("a group");
        let found = rewards_by_name(&[group]);
        let expect: [(&str, f64, [f64; 2]); 3] = [
            ("acc", 1.0 / 3.0, [0.0, 1.0]),
            ("fmt", -0.1 / 3.0, [-0.05, 0.0]),
            ("progress", 0.5 / 3.0, [0.25, 0.0]),
        ];
        assert_eq!(found.len(), expect.len());
        for ((name, found), (expected, mean, by_turn)) in found.iter().zip(expect) {
            assert_eq!((name.as_str(), &found.by_turn[..]), (expected, &by_turn[..]));
            assert!((found.mean - mean).abs() < 1e-12);
        }
        assert!(rewards_by_name(&[]).is_empty());
    }

    #[test]
    fn a_grade_is_neither_nothing_nor_everything() {
        let check = |acc: &[f64], expect: bool| {
            let turns: Vec<Rewards> = acc.iter().map(|acc| Rewards::new(*acc, -0.1)).collect();
            assert_eq!(is_graded(&turns), expect, "{acc:?}");
        };
        check(&[], false);
        check(&[0.0, 1.0], false);
        check(&[0.1; 10], false);
        check(&[0.1, 0.2], true);
    }
}
