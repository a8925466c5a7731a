//! Holds the metrics of a step's choice of tasks.

use serde::{Deserialize, Serialize};

use crate::metric::Metric;

/// Counts the groups that a step played, and those that others replaced.
///
/// The step's other metrics speak of the groups that it learns from. `accuracy` here is over all of them: the
/// groups that are learned from are chosen by their outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RefillMetrics {
    /// Rounds after the first one.
    pub rounds: usize,
    /// Groups played, in all rounds.
    pub played: usize,
    /// Groups that others replaced.
    pub replaced: usize,
    /// Replaced groups that were all right.
    pub all_right: usize,
    /// Replaced groups that were all wrong.
    pub all_wrong: usize,
    /// Groups without signal among those that the step learns from.
    pub without_signal: usize,
    /// Share of right trajectories, of all groups played.
    pub accuracy: Metric,
}

/// Splits the tasks of the environment by their recent attempts, after the step.
///
/// The first four are shares of all tasks.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CurriculumMetrics {
    /// No attempt yet.
    pub unseen: Metric,
    /// Right in less than 20 % of recent attempts.
    pub hard: Metric,
    /// Right in 20 to 80 % of recent attempts.
    pub learnable: Metric,
    /// Right in more than 80 % of recent attempts.
    pub easy: Metric,
    /// Mean share of right attempts over the tasks that have any.
    #[serde(skip_serializing_if = "Metric::is_absent")]
    pub success: Metric,
}
