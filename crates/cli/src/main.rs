//! The command line of turnwise. JSON goes to stdout, everything else to stderr; see `turnwise help`.

mod command;
mod device_check;
mod evaluation_table;
mod failure;
mod input;
mod line_file;
mod model_folder;
mod output;
mod place;
mod progress;
mod run_file;
mod run_place;
mod stop;
mod terminal;
mod tui;

use std::process::ExitCode;

use clap::Parser;

use crate::command::Command;

/// Training makes and drops a tensor for every operation; an allocator that keeps freed pages saves a quarter
/// of the step's CPU time over glibc's, most of it page faults.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    #[cfg(feature = "monty")]
    turnwise_tools::executor::serve_monty_if_asked();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ended(failure::usage(&error)),
    };
    ended(match cli.command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    })
}

/// Returns the exit status after the reader has had time for the messages.
fn ended(code: ExitCode) -> ExitCode {
    terminal::flush();
    code
}
