//! Bounds of a trajectory. Reaching one is data on the trajectory, not an error.

/// How long turns and trajectories may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Turns per trajectory.
    pub turns: usize,
    /// Sampled tokens per turn.
    pub turn_tokens: usize,
    /// Tokens per trajectory, prompt and observations included.
    pub tokens: usize,
    /// Tokens of the output of one call; more is cut in the middle.
    pub observation_tokens: usize,
}
