//! When two trajectories of a task are in the same state.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use turnwise_credit::ScoredTrajectory;

/// Names what makes two states equal. The prompt is one state, and an unknown observation equals no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum States {
    /// The same calls and observations, in the same order, as in `turn_tree`.
    #[default]
    Path,
    /// The same observations in the same order, whatever was called.
    Observations,
    /// The same observations in any order.
    Set,
}

impl States {
    /// Returns the name in arguments and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Observations => "observations",
            Self::Set => "set",
        }
    }

    /// Returns a number for the state before each turn, `[trajectory][turn]`, and how many there are. Equal
    /// numbers are equal states, and 0 is the prompt.
    pub(crate) fn of(self, trajectories: &[ScoredTrajectory]) -> (Vec<Vec<usize>>, usize) {
        let mut known: HashMap<Vec<&str>, usize> = HashMap::new();
        let mut count = 1;
        let mut paths = Vec::with_capacity(trajectories.len());
        for trajectory in trajectories {
            let state = |j: usize| {
                if j == 0 {
                    return 0;
                }
                let at = self.key(trajectory, j).map_or(count, |key| *known.entry(key).or_insert(count));
                count += usize::from(at == count);
                at
            };
            paths.push((0..trajectory.turns.len()).map(state).collect());
        }
        (paths, count)
    }

    /// Returns the key of the state before turn `j`; none if a part of it isn't known.
    fn key(self, trajectory: &ScoredTrajectory, j: usize) -> Option<Vec<&str>> {
        let seen = trajectory.states.get(1..=j)?.iter().map(String::as_str);
        Some(match self {
            Self::Path => {
                let asked = trajectory.calls.get(..j)?.iter().map(String::as_str);
                asked.zip(seen).flat_map(|(asked, seen)| [asked, seen]).collect()
            }
            Self::Observations => seen.collect(),
            Self::Set => {
                let mut set: Vec<&str> = seen.collect();
                set.sort_unstable();
                set
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(states: States) -> Vec<Vec<usize>> {
        let trajectory = |calls: &str, seen: &str| -> ScoredTrajectory {
            let list = |text: &str| text.split_whitespace().map(String::from).collect::<Vec<_>>();
            let turns = "{},".repeat(3);
            ScoredTrajectory {
                calls: list(calls),
                states: [vec![String::new()], list(seen)].concat(),
                ..serde_json::from_str(&format!(r#"{{"turns":[{}]}}"#, turns.trim_end_matches(',')))
                    .expect("turns")
            }
        };
        let all = [
            trajectory("f g", "1 2"),
            trajectory("f h", "1 2"),
            trajectory("g f", "2 1"),
            trajectory("f", "1"),
        ];
        let (paths, count) = states.of(&all);
        assert_eq!(count, paths.concat().iter().max().expect("states") + 1);
        paths
    }

    #[test]
    fn coarser_states_join_what_finer_ones_tell_apart() {
        assert_eq!(paths(States::Path), [[0, 1, 2], [0, 1, 3], [0, 4, 5], [0, 1, 6]]);
        assert_eq!(paths(States::Observations), [[0, 1, 2], [0, 1, 2], [0, 3, 4], [0, 1, 5]]);
        assert_eq!(paths(States::Set), [[0, 1, 2], [0, 1, 2], [0, 3, 2], [0, 1, 4]]);
    }
}
