//! Limits of a trajectory. Reaching one is data on the trajectory, not an error.

/// Holds the limits of turns and trajectories. Each field is the most that is allowed.
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
    /// Calls of one turn that run; the others are rejected.
    pub turn_calls: usize,
}

/// Most bytes of a turn's text that are read. A longer text, which only a server can send, counts as cut off
/// here.
pub(crate) const TURN_BYTES: usize = 1 << 20;
