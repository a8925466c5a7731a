//! Plays a policy in an environment: token in, token out. Sampled tokens are never re-tokenised; tool output
//! is appended to the exact tokens before it.
//!
//! | question | type | file |
//! |---|---|---|
//! | how many trajectories are played at once | [`play()`] | `play.rs`, `leader.rs`, `tool_threads.rs` |
//! | what one trajectory does next | | `in_flight.rs` |
//! | who samples | [`Policy`] | `policy.rs`; servers in `remote/` |
//! | how messages become tokens | [`chat::ChatFormat`] | `chat/`, one file per format |
//! | when a turn ends | [`TurnEnd`] | `turn_end.rs` |
//! | when a trajectory ends | [`Limits`] | `limits.rs` |
//! | which trajectories were lost | [`Lost`] | `lost.rs` |

mod calls;
pub mod chat;
mod context;
mod event;
mod game;
mod in_flight;
mod leader;
mod limits;
mod lost;
mod messages;
mod observe;
mod play;
mod policy;
pub mod remote;
#[cfg(test)]
mod testing;
mod tool_threads;
mod turn_end;
mod turns;

pub use context::Context;
pub use game::Game;
pub use limits::Limits;
pub use lost::Lost;
pub use messages::{offer, opening, outputs};
pub use play::{Played, play, play_streaming};
pub use policy::{Policy, PolicyError};
pub use turn_end::{TurnEnd, TurnWatch};
pub use turns::{Batch, Shard, Turns};
pub use turnwise_trajectory::Completion;
