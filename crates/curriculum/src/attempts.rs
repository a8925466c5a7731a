//! Counts recent attempts at a task, and splits all tasks by them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Tells how the trajectories of one group ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Number of the task in its split, if it is known. A record of a run without curriculum lacks it.
    pub task: Option<usize>,
    /// Trajectories that were right.
    pub right: usize,
    /// Trajectories that ended, right or wrong. Lost ones don't count.
    pub played: usize,
}

/// Counts the attempts at one task. Older ones count less.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Attempts {
    /// Attempts that were right.
    pub right: f64,
    /// All attempts.
    pub played: f64,
}

impl Attempts {
    /// Returns the counts after another group: the earlier ones times `discount`, and the new ones.
    pub(crate) fn and(self, outcome: Outcome, discount: f64) -> Self {
        let Outcome { right, played, .. } = outcome;
        Self { right: discount * self.right + right as f64, played: discount * self.played + played as f64 }
    }

    /// Returns whether a run can have counted these.
    pub(crate) fn could_be(self) -> bool {
        // NaN is in no range.
        (0.0..=MOST_PLAYED).contains(&self.played) && (0.0..=self.played).contains(&self.right)
    }

    /// Returns the share that was right; none without an attempt.
    fn rate(self) -> Option<f64> {
        (self.played > 0.0).then(|| self.right / self.played)
    }

    /// Returns the mean of the posterior Beta(1 + right, 1 + wrong): 1/2 without an attempt.
    pub(crate) fn estimate(self) -> f64 {
        (self.right + 1.0) / (self.played + 2.0)
    }
}

/// Attempts at one task that are counted at most: beyond it another one changes nothing.
const MOST_PLAYED: f64 = (1_u64 << 53) as f64;
/// Below this share of right attempts a task is hard.
const HARD: f64 = 0.2;
/// Above this share of right attempts a task is easy.
const EASY: f64 = 0.8;

/// Splits all tasks by their recent attempts. The four shares sum to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Shares {
    /// Share of tasks without an attempt.
    pub unseen: f64,
    /// Share of tasks that were right in less than 20 % of recent attempts.
    pub hard: f64,
    /// Share of tasks between hard and easy, both limits included.
    pub learnable: f64,
    /// Share of tasks that were right in more than 80 % of recent attempts.
    pub easy: f64,
    /// Mean share of right attempts, over the tasks that have any; none if no task has.
    pub success: Option<f64>,
}

impl Shares {
    pub(crate) fn of(attempts: &BTreeMap<usize, Attempts>, tasks: usize) -> Self {
        let rates: Vec<f64> = attempts.values().filter_map(|attempts| attempts.rate()).collect();
        let share = |number: usize| number as f64 / tasks as f64;
        let hard = rates.iter().filter(|&&rate| rate < HARD).count();
        let easy = rates.iter().filter(|&&rate| rate > EASY).count();
        let seen = rates.len();
        Self {
            unseen: share(tasks - seen),
            hard: share(hard),
            learnable: share(seen - hard - easy),
            easy: share(easy),
            success: (seen > 0).then(|| rates.iter().sum::<f64>() / seen as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_attempts_count_less() {
        let group = |right, played| Outcome { task: Some(0), right, played };
        let after = |discount, groups: &[Outcome]| {
            groups.iter().fold(Attempts::default(), |attempts, &group| attempts.and(group, discount))
        };
        let groups = [group(0, 8), group(0, 8), group(8, 8)];
        assert_eq!(after(1.0, &groups).rate(), Some(1.0 / 3.0));
        assert_eq!(after(0.5, &groups).rate(), Some(8.0 / 14.0));
        assert_eq!(after(0.0, &groups).rate(), Some(1.0));
        assert_eq!(Attempts::default().estimate(), 0.5);
        assert_eq!(after(1.0, &[group(0, 0)]).rate(), None, "all of its trajectories were lost");
    }

    #[test]
    fn every_task_has_one_state() {
        let of = |right: f64| Attempts { right, played: 10.0 };
        let attempts: BTreeMap<usize, Attempts> =
            [0.0, 1.9, 2.0, 5.0, 8.0, 8.1, 10.0].map(of).into_iter().enumerate().collect();
        let shares = Shares::of(&attempts, 10);
        assert_eq!((shares.unseen, shares.hard, shares.learnable, shares.easy), (0.3, 0.2, 0.3, 0.2));
        assert!((shares.success.unwrap() - 0.5).abs() < 1e-12);
        assert_eq!(Shares::of(&BTreeMap::new(), 3), Shares { unseen: 1.0, ..Shares::default() });
    }
}
