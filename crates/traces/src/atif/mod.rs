//! ATIF, the Agent Trajectory Interchange Format of Harbor.
//!
//! An agent's step with `prompt_token_ids`, `completion_token_ids` and `logprobs` in its `metrics` is a call.
//! Copied steps and steps without a model aren't. Documents of one `session_id` are one trace, and so are the
//! trajectories of its sub-agents: their calls stand after the step that names them.

mod read;
mod spans;
mod write;

pub(crate) use spans::Spans;
pub(crate) use write::Written;
