//! The trajectories of one task, with what the diagnosis reads besides their rewards.

use turnwise_credit::{Group, ScoredTrajectory, is_right};
use turnwise_trajectory::Rewards;

/// Holds all recorded trajectories of one task.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The trajectories, whose `group` is the task's name.
    pub group: Group,
    /// `[trajectory][turn]`: the number of sampled tokens. Without tokens each turn counts as one.
    pub tokens: Vec<Vec<usize>>,
}

impl Task {
    /// Returns the group of some of its trajectories.
    pub(crate) fn subgroup(&self, members: &[usize]) -> Group {
        Group {
            group: self.group.group.clone(),
            trajectories: members.iter().map(|at| self.group.trajectories[*at].clone()).collect(),
        }
    }

    /// Returns the weight of a turn in the loss, in tokens.
    pub(crate) fn weight(&self, trajectory: usize, turn: usize) -> f64 {
        let tokens = self.tokens.get(trajectory).and_then(|turns| turns.get(turn));
        tokens.copied().unwrap_or(0).max(1) as f64
    }

    /// Returns whether each trajectory is right.
    pub(crate) fn right(&self, correct_at: f64) -> Vec<bool> {
        let right = |trajectory: &ScoredTrajectory| {
            is_right(trajectory.turns.iter().map(Rewards::acc).sum(), correct_at)
        };
        self.group.trajectories.iter().map(right).collect()
    }
}
