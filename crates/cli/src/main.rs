//! Turn-level reinforcement learning for language models that use tools: the binary, and an overview of its
//! crates.
//!
//! ```text
//! tasks → play → turn rewards → shaping → returns → advantages per turn → token weights
//!       → log-probabilities → loss → gradients → AdamW → metrics
//! ```
//!
//! | crate | holds |
//! |---|---|
//! | [`turnwise_trajectory`](../turnwise_trajectory/index.html) | what happened: prompt, turns, tokens, calls |
//! | [`turnwise_tools`](../turnwise_tools/index.html) | call formats, and the sandbox that runs calls |
//! | [`turnwise_datasets`](../turnwise_datasets/index.html) | rows of data files: JSON, gzip, parquet |
//! | [`turnwise_envs`](../turnwise_envs/index.html) | tasks, tools on offer, judging, turn rewards |
//! | [`turnwise_rollout`](../turnwise_rollout/index.html) | plays a policy in an environment; chat formats |
//! | [`turnwise_credit`](../turnwise_credit/index.html) | from turn rewards to token weights: start here for estimators |
//! | [`turnwise_loss`](../turnwise_loss/index.html) | policy losses |
//! | [`turnwise_model`](../turnwise_model/index.html) | the transformer and its families |
//! | [`turnwise_sampler`](../turnwise_sampler/index.html) | logits to tokens, continuous batching |
//! | [`turnwise_runfile`](../turnwise_runfile/index.html) | layered TOML with places and ranges |
//! | [`turnwise_ranks`](../turnwise_ranks/index.html) | the processes of one run, alone or under MPI |
//! | [`turnwise_run`](../turnwise_run/index.html) | a run on disk: records, metrics, checkpoints |
//! | [`turnwise_trainer`](../turnwise_trainer/index.html) | the training step and everything around it |
//! | [`turnwise_inspect`](../turnwise_inspect/index.html) | the local page and reports |
//! | [`turnwise_serve`](../turnwise_serve/index.html) | the endpoint for agents |
//!
//! Beside these:
//!
//! | crate | holds |
//! |---|---|
//! | [`turnwise_demonstrations`](../turnwise_demonstrations/index.html) | conversations of others as training data |
//! | [`turnwise_diagnosis`](../turnwise_diagnosis/index.html) | which estimators can use recorded rollouts |
//! | [`turnwise_curriculum`](../turnwise_curriculum/index.html) | which tasks a step plays |
//! | [`turnwise_mcp`](../turnwise_mcp/index.html) | tools of MCP servers |
//! | [`turnwise_similarity`](../turnwise_similarity/index.html) | how alike two programs are, for shaping |
//! | [`turnwise_jinja`](../turnwise_jinja/index.html) | chat templates |
//! | [`turnwise_traces`](../turnwise_traces/index.html) | traces of agents in the formats of others |
//! | [`turnwise_gguf`](../turnwise_gguf/index.html) | GGUF files to Hugging Face folders |
//! | [`turnwise_stats`](../turnwise_stats/index.html) | pass@k, intervals, paired tests |
//! | [`turnwise_files`](../turnwise_files/index.html), [`turnwise_http`](../turnwise_http/index.html) | opening files of others, requests to servers |
//! | [`turnwise_json`](../turnwise_json/index.html) | JSON of others: unique keys, faults in its words |
//! | [`turnwise_allocator`](../turnwise_allocator/index.html) | the programs' memory |
//! | [`turnwise_listen`](../turnwise_listen/index.html) | HTTP servers on one machine |
//!
//! This crate is the command line. JSON goes to stdout, everything else to stderr; see `turnwise help`.

mod command;
mod credit_table;
mod device_check;
mod evaluation_table;
mod failure;
mod input;
mod line_file;
mod model_folder;
mod output;
mod progress;
mod recorded_groups;
mod run_directory;
mod run_file;
mod run_site;
mod server_check;
mod several;
mod stop;
mod terminal;
mod tui;

use std::process::ExitCode;

use clap::Parser;

use crate::command::Command;

/// Trains tool-using language models, one turn at a time.
///
/// JSON goes to stdout; logs, tables and progress go to stderr.
/// Exit status: 0 done, 1 the work failed, 2 wrong usage or config.
#[derive(Parser)]
#[command(name = "turnwise", version, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    turnwise_allocator::keep_freed_memory();
    stop::fail_at_file_limit();
    #[cfg(feature = "monty")]
    turnwise_tools::executor::serve_monty_if_asked();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ended(failure::usage(&error)),
    };
    ended(several::status(|| cli.command.run()))
}

/// Returns the exit status after the reader has had time for the messages.
fn ended(code: ExitCode) -> ExitCode {
    terminal::flush();
    code
}
