//! The view that a policy has of a trajectory.

use turnwise_trajectory::TokenId;

/// Holds a trajectory at the point where its next turn begins.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// Index of the trajectory in this play, stable across its turns; ordered by task, then sample.
    pub index: usize,
    /// The task's id.
    pub task: &'a str,
    /// Number of earlier groups of this play with the same task: 0 unless a step draws a task twice.
    ///
    /// Samples of both groups have the same indices, so this belongs to their random streams.
    pub occurrence: u32,
    /// Index of the trajectory in its group.
    pub sample: u32,
    /// Index of the turn to sample, from 0.
    pub turn: usize,
    /// All tokens before the turn.
    pub tokens: Vec<TokenId>,
    /// Most tokens of the turn; at least 1.
    pub max_new: usize,
}
