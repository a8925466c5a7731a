//! The reference of a turn: how much other trajectories say that it changed the prospects.

use crate::states::States;
use crate::task::Task;

/// Holds the reference of one turn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reference {
    /// The success rate after the turn less the one before.
    pub(crate) value: f64,
    /// Its standard error.
    pub(crate) error: f64,
}

/// Counts the trajectories of a task through each state, and the right ones among them.
pub(crate) struct Prospects {
    /// `[trajectory][turn]`: the state before the turn.
    paths: Vec<Vec<usize>>,
    visits: Vec<f64>,
    right: Vec<f64>,
    outcomes: Vec<bool>,
}

impl Prospects {
    pub(crate) fn of(task: &Task, states: States, correct_at: f64) -> Self {
        let (paths, count) = states.of(&task.group.trajectories);
        let outcomes = task.right(correct_at);
        let (mut visits, mut right) = (vec![0.0; count], vec![0.0; count]);
        for (path, outcome) in paths.iter().zip(&outcomes) {
            for state in path {
                visits[*state] += 1.0;
                right[*state] += f64::from(u8::from(*outcome));
            }
        }
        Self { paths, visits, right, outcomes }
    }

    /// Returns whether each trajectory is right.
    pub(crate) fn outcomes(&self) -> &[bool] {
        &self.outcomes
    }

    /// Returns the references of the turns of a subgroup, from the trajectories outside of it; none for a
    /// turn with fewer than `least` of them before or after it.
    pub(crate) fn references(&self, members: &[usize], least: usize) -> Vec<Vec<Option<Reference>>> {
        let inside = |state: usize| -> (f64, f64) {
            let through = members.iter().filter(|i| self.paths[**i].contains(&state));
            through
                .fold((0.0, 0.0), |(n, right), i| (n + 1.0, right + f64::from(u8::from(self.outcomes[*i]))))
        };
        // The rate and its variance. The variance counts one more success and failure, so that it isn't 0.
        let rate = |state: usize| {
            let (n, right) = inside(state);
            let (n, right) = (self.visits[state] - n, self.right[state] - right);
            let p = (right + 1.0) / (n + 2.0);
            (n >= least.max(1) as f64).then(|| (right / n, p * (1.0 - p) / n))
        };
        let of_trajectory = |i: &usize| {
            let path = &self.paths[*i];
            let turn = |(j, state): (usize, &usize)| {
                let before = rate(*state)?;
                let after = match path.get(j + 1) {
                    Some(next) => rate(*next)?,
                    None => (f64::from(u8::from(self.outcomes[*i])), 0.0),
                };
                Some(Reference { value: after.0 - before.0, error: (after.1 + before.1).sqrt() })
            };
            path.iter().enumerate().map(turn).collect()
        };
        members.iter().map(of_trajectory).collect()
    }

    /// Returns how many turns after the first of a subgroup there are, and how many of them begin in a state
    /// that another member was in.
    pub(crate) fn shared(&self, members: &[usize]) -> (f64, f64) {
        let later =
            || members.iter().flat_map(|i| self.paths[*i].iter().skip(1).map(move |state| (i, state)));
        let met =
            |(i, state): &(&usize, &usize)| members.iter().any(|k| k != *i && self.paths[*k].contains(state));
        (later().filter(met).count() as f64, later().count() as f64)
    }

    /// Returns the largest number of trajectories that were in one state after the prompt.
    pub(crate) fn busiest(&self) -> usize {
        self.visits.iter().skip(1).fold(0.0_f64, |most, n| most.max(*n)) as usize
    }
}
