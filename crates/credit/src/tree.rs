//! The tree of a group's states, in which estimators compare trajectories.

use std::collections::HashMap;
use std::hash::Hash;

use crate::episode::Episode;

/// The root of the tree, the state that all trajectories start in.
const PROMPT: usize = 0;

/// Holds a group as a tree of states. Two trajectories share a state if they made the same calls and saw the
/// same observations, in the same order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    /// The trajectories through each state, in order.
    visitors: Vec<Vec<usize>>,
    /// The state before each turn, `[trajectory][turn]`.
    paths: Vec<Vec<usize>>,
}

impl Tree {
    /// Returns the tree of a group. A turn whose calls or observation aren't known leads to a state that
    /// equals no other.
    pub(crate) fn of(group: &[Episode]) -> Self {
        Self::by(group.iter().map(|episode| {
            let key = |j: usize| {
                let (asked, seen) = (episode.calls.get(j.checked_sub(1)?)?, episode.states.get(j)?);
                Some((asked.as_str(), seen.as_str()))
            };
            (0..episode.rewards.len()).map(key).collect()
        }))
    }

    /// Returns the tree of a group whose states also tell which turns broke the format.
    pub(crate) fn with_violations(group: &[Episode]) -> Self {
        Self::by(group.iter().map(|episode| {
            let key = |j: usize| {
                let before = j.checked_sub(1)?;
                let (asked, seen) = (episode.calls.get(before)?, episode.states.get(j)?);
                Some((asked.as_str(), seen.as_str(), episode.violations.get(before)?))
            };
            (0..episode.rewards.len()).map(key).collect()
        }))
    }

    /// Returns the tree of trajectories from the key of the step to each turn. The first turn's key doesn't
    /// count, and a missing key equals no other.
    fn by<K: Hash + Eq>(steps: impl Iterator<Item = Vec<Option<K>>>) -> Self {
        let mut tree = Self { visitors: vec![Vec::new()], ..Self::default() };
        let mut children: HashMap<(usize, K), usize> = HashMap::new();
        for (i, steps) in steps.enumerate() {
            let (mut at, mut path) = (PROMPT, Vec::with_capacity(steps.len()));
            for (j, step) in steps.into_iter().enumerate() {
                if j > 0 {
                    let new = tree.visitors.len();
                    at = match step {
                        Some(key) => *children.entry((at, key)).or_insert(new),
                        None => new,
                    };
                    if at == new {
                        tree.visitors.push(Vec::new());
                    }
                }
                tree.visitors[at].push(i);
                path.push(at);
            }
            tree.paths.push(path);
        }
        tree
    }

    /// Returns the state before each turn of a trajectory.
    pub(crate) fn path(&self, trajectory: usize) -> &[usize] {
        &self.paths[trajectory]
    }

    /// Returns the trajectories through a state, in order.
    pub(crate) fn visitors(&self, state: usize) -> &[usize] {
        &self.visitors[state]
    }

    /// Iterates over the trajectories through a state, one left out.
    pub(crate) fn others(&self, state: usize, left_out: usize) -> impl Iterator<Item = usize> + '_ {
        self.visitors[state].iter().copied().filter(move |k| *k != left_out)
    }
}
