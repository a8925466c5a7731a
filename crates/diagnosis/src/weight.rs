//! Shares of an estimator's weight, `|A|` times sampled tokens, by outcome of the subgroup and by turn.

use serde::Serialize;
use turnwise_stats::Estimate;

use crate::over_tasks::ratio;

/// Holds shares of an estimator's weight.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WeightReport {
    /// The share in subgroups whose trajectories are all right; none if nothing has weight.
    pub solved: Option<Estimate>,
    /// The share in subgroups whose trajectories are all wrong.
    pub hopeless: Option<Estimate>,
    /// The same by turn index, first turn first.
    pub by_turn: Vec<TurnWeight>,
}

/// Holds shares of the weight at one turn index.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TurnWeight {
    /// The share of all weight that is on this turn index.
    pub share: Option<Estimate>,
    /// The share of all weight that is on this turn index in solved subgroups.
    pub solved: Option<Estimate>,
    /// The share of all weight that is on this turn index in hopeless subgroups.
    pub hopeless: Option<Estimate>,
}

/// Holds the weight of one task.
#[derive(Debug, Clone, Default)]
pub(crate) struct Weights {
    /// By turn index: all, in solved subgroups, in hopeless ones.
    by_turn: Vec<[f64; 3]>,
}

impl Weights {
    /// Adds a turn of a subgroup with `right` of `size` trajectories right.
    pub(crate) fn add(&mut self, turn: usize, weight: f64, right: usize, size: usize) {
        self.by_turn.resize(self.by_turn.len().max(turn + 1), [0.0; 3]);
        let sums = &mut self.by_turn[turn];
        sums[0] += weight;
        sums[1] += if right == size { weight } else { 0.0 };
        sums[2] += if right == 0 { weight } else { 0.0 };
    }

    fn total(&self, of: usize) -> f64 {
        self.by_turn.iter().map(|sums| sums[of]).sum()
    }
}

/// Returns the shares over all tasks.
pub(crate) fn shares(tasks: &[Weights]) -> WeightReport {
    let of = |part: &dyn Fn(&Weights) -> f64| {
        ratio(&tasks.iter().map(|task| (part(task), task.total(0))).collect::<Vec<_>>())
    };
    let turns = tasks.iter().map(|task| task.by_turn.len()).max().unwrap_or(0);
    let at = |turn: usize, kind: usize| of(&|task| task.by_turn.get(turn).map_or(0.0, |sums| sums[kind]));
    WeightReport {
        solved: of(&|task| task.total(1)),
        hopeless: of(&|task| task.total(2)),
        by_turn: (0..turns)
            .map(|turn| TurnWeight { share: at(turn, 0), solved: at(turn, 1), hopeless: at(turn, 2) })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_over_turns() {
        let mut tasks = vec![Weights::default(); 2];
        tasks[0].add(0, 3.0, 8, 8);
        tasks[0].add(1, 1.0, 8, 8);
        tasks[1].add(0, 2.0, 0, 8);
        tasks[1].add(1, 4.0, 5, 8);
        let shares = shares(&tasks);
        let value = |estimate: &Option<Estimate>| estimate.expect("weight").value;
        assert_eq!([value(&shares.solved), value(&shares.hopeless)], [0.4, 0.2]);
        assert_eq!([value(&shares.by_turn[0].share), value(&shares.by_turn[1].share)], [0.5, 0.5]);
        assert_eq!([value(&shares.by_turn[0].solved), value(&shares.by_turn[1].hopeless)], [0.3, 0.0]);
        assert_eq!(super::shares(&[Weights::default()]).solved, None);
    }
}
