//! The binary's contracts, through the binary: what goes to stdout, what goes to stderr, and the exit status.

mod agent;
mod binary;
mod changes;
mod chat;
mod clients;
mod config;
mod convert;
mod cores;
mod credit;
mod documents;
mod environment;
mod eval;
mod exec;
mod failures;
mod folders;
mod generate;
mod hanging;
mod hostile;
mod inspect;
#[path = "../../../envs/tests/process/installed.rs"]
mod installed;
#[path = "../../../envs/tests/openenv/library.rs"]
mod library;
mod load;
mod logprobs;
mod model;
mod names;
mod numbers;
mod openenv;
mod parse;
mod process;
mod ranks;
mod resume;
mod rewards;
mod rollout;
mod run_folder;
mod runs;
mod score;
mod serve;
mod server;
mod setup;
mod sft;
mod tools;
mod traces;
mod tui;
