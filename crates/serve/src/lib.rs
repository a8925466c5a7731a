//! A model endpoint for agents: it speaks the protocols of others, and keeps the exact tokens.
//!
//! ```text
//!  request ─► dialect ─► Ask ─► prompt ─► Engine ─► reader ─► dialect ─► answer
//!                                │  ▲                 │
//!                                ▼  │                 ▼
//!                              session: a tree of calls by token prefix ─► sessions.jsonl
//! ```
//! - A [`dialect`] reads a request as an [`ask::Ask`] and writes answers. It knows nothing of tokens.
//! - A session holds the calls of one bearer token. An assistant message that was sampled there continues its
//!   tokens, and is never tokenised again.
//! - An [`Engine`] samples tokens. The model's is in the trainer, and tests have one that follows a script.
//! - Unsupported keys are refused by name, in the dialect's form.

mod answer;
pub mod ask;
mod call;
pub mod dialect;
mod engine;
mod model;
mod queue;
mod refusal;
mod server;
mod server_state;
mod session;

pub use engine::{Draw, Engine, EngineSampling, Event, Events, Job};
pub use model::{Model, Style};
pub use refusal::Refusal;
pub use server::run_sessions::RunSessions;
pub use server::{Server, Settings};
pub use server_state::Limits;
pub use session::all::Counts;
pub use session::run::{Reached, Rules, Said, Told, Transcript};
pub use tokio::time::sleep;
