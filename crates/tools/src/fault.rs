//! Carries failures that aren't the model's doing.

use crate::executor::ExecutorFault;

/// Describes a failure of a sandbox, a server or an environment.
///
/// A fault is never shown to the model and never costs it reward. It costs the trajectory, which is dropped
/// and counted. A tool that fails because of its arguments returns an output instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {message}")]
pub struct Fault {
    /// The part that failed, for example `executor python`.
    pub origin: String,
    /// The failure in a line. A second line is a hint.
    pub message: String,
    /// The trajectory that may have caused it.
    pub cause: Cause,
}

/// Says which trajectories may have caused a fault. One process or server serves many of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cause {
    /// The trajectory that has the fault.
    #[default]
    Own,
    /// One of those that waited for an answer when the process ended. This trajectory was among them.
    Shared,
    /// Another trajectory: this one waited for nothing when the process ended.
    Other,
}

impl Fault {
    /// Returns the fault of `origin` that `message` describes.
    pub fn new(origin: impl Into<String>, message: impl Into<String>) -> Self {
        Self { origin: origin.into(), message: message.into(), cause: Cause::Own }
    }

    /// Returns the fault of a process that has ended with all its sessions. `asked`: whether this one waited
    /// for an answer.
    #[must_use]
    pub fn of_a_process(self, asked: bool) -> Self {
        Self { cause: if asked { Cause::Shared } else { Cause::Other }, ..self }
    }
}

impl From<ExecutorFault> for Fault {
    fn from(fault: ExecutorFault) -> Self {
        Self::new(format!("executor {}", fault.backend), fault.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_the_executor_keeps_its_words() {
        let fault = ExecutorFault { backend: "python", message: "gone".into() };
        assert_eq!(Fault::from(fault.clone()).to_string(), fault.to_string());
    }
}
