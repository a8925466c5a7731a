//! Events that the leading thread of a play receives from the others.

use turnwise_envs::{Closing, Opened, Session, Step};
use turnwise_tools::Fault;
use turnwise_trajectory::{Completion, ToolOutput};

/// Reports a change of the trajectory at an index.
pub(crate) enum Event<'a> {
    /// The environment has opened a session, or failed to.
    Opened(usize, Result<Opened<'a>, Fault>),
    /// The policy has sampled a turn.
    Sampled(usize, Completion),
    /// The policy could not sample a turn, for this reason.
    Lost(usize, String),
    /// The context of a turn is full for the policy.
    Full(usize),
    /// Tools have answered calls of a turn, each given by its position.
    Answered(usize, Vec<(usize, Result<ToolOutput, Fault>)>),
    /// The session has processed a turn.
    Stepped(usize, Box<dyn Session + 'a>, Result<Step, Fault>),
    /// The session has closed.
    Closed(usize, Result<Closing, Fault>),
    /// The policy samples no more turns.
    PolicyLeft,
    /// A thread that ran tools has panicked.
    ToolsBroke,
}
