//! What samples turns: a local model, a remote server, or a script in tests.

use crate::turn_end::TurnEnd;
use crate::turns::Turns;

/// The policy could not answer at all: a broken model or a server that is gone.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PolicyError(pub String);

/// Samples turns of trajectories, of any number of them at a time.
pub trait Policy {
    /// Takes turns and answers each, until there are no more. `end` says what ends a turn and belongs to it.
    ///
    /// Tools decide which turns are ready at which moment. A sample may therefore depend on its context only.
    ///
    /// # Errors
    /// If no turn can be sampled any more.
    fn serve(&mut self, turns: &Turns<'_>, end: &TurnEnd<'_>) -> Result<(), PolicyError>;
}
