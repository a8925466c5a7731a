//! What the leading thread of a play hears from the others.

use turnwise_envs::{Closing, Opened, Session, Step};
use turnwise_tools::Fault;
use turnwise_trajectory::{Completion, ToolOutput};

/// Something that happened to the trajectory at an index.
pub(crate) enum Event<'a> {
    /// The environment has opened a session, or couldn't.
    Opened(usize, Result<Opened<'a>, Fault>),
    /// The policy has sampled a turn.
    Sampled(usize, Completion),
    /// The policy could not sample a turn, for this reason.
    Lost(usize, String),
    /// The context of a turn is full for the policy.
    Full(usize),
    /// Tools have answered calls of a turn, each named by its position.
    Answered(usize, Vec<(usize, Result<ToolOutput, Fault>)>),
    /// The session has heard of a turn.
    Stepped(usize, Box<dyn Session + 'a>, Result<Step, Fault>),
    /// The session has heard of the end.
    Closed(usize, Result<Closing, Fault>),
    /// The policy samples no more turns.
    PolicyLeft,
    /// A thread that ran tools has panicked.
    ToolsBroke,
}
