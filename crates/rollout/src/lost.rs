//! Trajectories that were lost by no fault of the policy.

use serde::{Deserialize, Serialize};

/// Names a trajectory that an error of turnwise or of a service has cost. It is missing in its group, and the
/// others go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// The task's id.
    pub task: String,
    /// Index of the trajectory in its group.
    pub sample: u32,
    /// The failure, in a line; a second line may hold a hint.
    pub reason: String,
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // An id is a text of others, and an error has one line.
        write!(f, "{}, sample {}: {}", self.task.escape_debug(), self.sample, self.reason)
    }
}
