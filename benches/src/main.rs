//! The same work on every backend, and beside PyTorch: what BENCHMARKS.md is filled from.

mod backends;
mod endpoint;
mod engines;
mod launches;
mod peers;
mod picture;
mod ranks;
mod row;
mod serve;
mod small_model;
mod steps;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures turnwise: on every backend that is compiled in, and beside PyTorch and transformers.
#[derive(Parser)]
#[command(name = "turnwise-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prefill, decode, loss, train step and GTPO step on every backend: a table, JSON and a picture
    Backends(backends::Backends),
    /// Decoding and training beside PyTorch, in turns
    Peers(peers::Peers),
    /// Prefill and decoding on the CPU from weights in f32, bf16 and int8 beside other engines, in turns
    Engines(engines::Engines),
    /// Writes a Llama of a size with random weights as a model folder
    Save(small_model::Save),
    /// A whole step of GRPO and of GTPO beside TRL's, in turns, phase by phase
    Steps(steps::Steps),
    /// A step of GTPO on one rank and on two under `mpirun`, with the time of their exchange
    Ranks(ranks::Ranks),
    /// Launches of a decoding step on a device and its time, on Burn's operations and with our kernels
    Launches(launches::Launches),
    /// Conversations over HTTP beside the same ones in this process: CPU time of a turn, tokens a second
    Endpoint(endpoint::Endpoint),
    /// Does the work that stdin names, line by line, and answers with what it cost
    Serve(serve::Serve),
}

fn main() -> ExitCode {
    turnwise_allocator::keep_freed_memory();
    let done = match Arguments::parse().command {
        Command::Backends(command) => command.run(),
        Command::Peers(command) => command.run(),
        Command::Engines(command) => command.run(),
        Command::Save(command) => command.run(),
        Command::Steps(command) => command.run(),
        Command::Ranks(command) => command.run(),
        Command::Launches(command) => command.run(),
        Command::Endpoint(command) => command.run(),
        Command::Serve(command) => command.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
