//! Trajectories that came to nothing by no fault of the policy's.

/// A trajectory that was lost: something of ours, or that we depend on, failed while it was played or judged.
/// It is missing in its group, and the others go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The task's id.
    pub task: String,
    /// Index of the trajectory in its group.
    pub sample: u32,
    /// The failure, in a line; a second line is a hint.
    pub reason: String,
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, sample {}: {}", self.task, self.sample, self.reason)
    }
}
