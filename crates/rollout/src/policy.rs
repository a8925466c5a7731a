//! The interface of policies: a local model, a remote server, or a script in tests.

use crate::turn_end::TurnEnd;
use crate::turns::Turns;

/// Says why the policy could not answer at all: a broken model or an unreachable server.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PolicyError(pub String);

/// Samples turns of any number of trajectories at a time.
pub trait Policy {
    /// Takes turns and answers each, until there are no more. `end` is the rule that ends a turn.
    ///
    /// The time at which a turn is ready depends on tools. A sample may therefore depend on its context only.
    ///
    /// # Errors
    /// If no turn can be sampled any more.
    fn serve(&mut self, turns: &Turns<'_>, end: &TurnEnd<'_>) -> Result<(), PolicyError>;
}
