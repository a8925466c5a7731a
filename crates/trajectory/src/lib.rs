//! The record of a rollout: prompt, turns, tokens, log-probabilities, tool calls.
//!
//! Spans and masks are *derived* from a [`Trajectory`], never stored, so they cannot disagree with the
//! tokens. A turn `j` is the paper's `y_ij = (t_ij, c_ij)`: reasoning text and tool calls, sampled by the
//! policy. Its observation is the paper's `b_ij` (arXiv:2511.14846 §3).

mod call;
mod completion;
mod message;
mod rewards;
mod sequence;
mod trajectory;

pub use call::{CallRecord, MalformedCall, OutputStatus, ToolCall, ToolOutput, ViolationKind};
pub use completion::Completion;
pub use message::{Message, Role};
pub use rewards::Rewards;
pub use sequence::Sequence;
pub use trajectory::{Branch, Finish, Stop, TokenId, Trajectory, Turn};
