//! Tools of MCP servers, for any environment: `[tools.NAME]` of a run file.
//!
//! ```text
//! run file ─open─▶ servers ─WithTools─▶ environment ─session─▶ tools of one trajectory ─call─▶ JSON-RPC
//! ```
//! - [`Server`] starts a command (stdio) or talks to a URL (streamable HTTP), and lists the tools.
//! - Calls are checked against their schemas as those of any tool. The calls of a trajectory run in order.
//! - `isError` is an output that the model reads. A server that dies, breaks the protocol or is late is a
//!   [`Fault`](turnwise_tools::Fault) of its trajectory.
//! - Outputs are in the trajectory's record, so a replay that evaluates nothing starts no server.
//!
//! # Why not the official SDK
//! `rmcp` 3.11 was measured as the other choice, as a client for both transports without TLS:
//!
//! | weight of `rmcp` | |
//! |---|---|
//! | new crates in the lock file (this crate: 0) | 20 |
//! | CPU seconds of a cold build of these crates | about 70 |
//! | CPU seconds of each build of a small program that uses it | 44 |
//! | size that it adds to the binary | 8.2 MB |
//!
//! It would save about 350 lines here. Process groups, bounds on messages, stderr, the rule for faults and
//! the bridge from its async runtime would still be ours. A client of tools needs four methods of the
//! protocol: `initialize`, `notifications/initialized`, `tools/list` and `tools/call`. The reader of messages
//! is fuzzed (`fuzz/corpus/mcp_message`), and the tests talk to servers made with the official SDKs.

mod config;
mod content;
mod env;
mod http;
mod link;
mod message;
mod process;
mod server;
mod stdio;

pub use config::{Address, McpConfig, Per, conflict};
pub use content::output;
pub use env::WithTools;
pub use message::{Message, Refusal, read};
pub use server::{McpError, Server, open};
