//! Subcommands: one file each.

mod chat;
mod completions;
mod config;
mod convert;
mod credit;
mod doctor;
mod eval;
mod exec;
mod generate;
mod init;
mod logprobs;
mod man;
mod parse;
mod replay;
mod report;
mod rollout;
mod score;
mod serve;
mod sft;
mod traces;
mod train;
mod view;

use anyhow::Result;
use clap::Subcommand;

use crate::several;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Train a model by reinforcement learning, as a run file says
    Train(train::Train),
    /// Train on the rollouts of another run, without sampling
    Replay(replay::Replay),
    /// Fine-tune a model on conversations, or on an environment's demonstrations
    Sft(sft::Sft),
    /// Evaluate a model on held-out tasks
    Eval(eval::Eval),
    /// Play an environment with a local model or a server, and write every conversation
    Rollout(rollout::Rollout),
    /// Read a run's rollouts in a local page
    View(view::View),
    /// Write a report of one or many runs
    Report(report::Report),
    /// Continue a prompt
    Generate(generate::Generate),
    /// Talk to a model that can run Python
    Chat(chat::Chat),
    /// Serve a model to agents, and keep the exact tokens of their sessions
    Serve(serve::Serve),
    /// Convert traces of agents: sessions, TrainingTrace, ATIF, and rollouts to train on
    Traces(traces::Traces),
    /// Print log-probabilities of given tokens
    Logprobs(logprobs::Logprobs),
    /// Turn rewards on stdin into returns and advantages on stdout, one group per line
    Score(score::Score),
    /// Say which estimators can use recorded rollouts, without training
    Credit(credit::Credit),
    /// Find the tool calls in the completion on stdin
    Parse(parse::Parse),
    /// Run the code on stdin as a tool call would run
    Exec(exec::Exec),
    /// Convert a GGUF file to a Hugging Face folder
    Convert(convert::Convert),
    /// Print a config with everything resolved
    Config(config::Config),
    /// Say what this binary and this machine can do
    Doctor(doctor::Doctor),
    /// Write a commented run file for a model folder and an environment
    Init(init::Init),
    /// Print the completion script of a shell
    Completions(completions::Completions),
    /// Write the manual as man pages
    Man(man::Man),
}

impl Command {
    pub(crate) fn run(self) -> Result<()> {
        match &self {
            Self::Replay(_) => several::refuse("replay")?,
            Self::Sft(_) => several::refuse("sft")?,
            Self::Eval(_) => several::refuse("eval")?,
            Self::Rollout(_) => several::refuse("rollout")?,
            Self::Serve(_) => several::refuse("serve")?,
            _ => {}
        }
        match self {
            Self::Train(command) => command.run(),
            Self::Replay(command) => command.run(),
            Self::Sft(command) => command.run(),
            Self::Eval(command) => command.run(),
            Self::Rollout(command) => command.run(),
            Self::View(command) => command.run(),
            Self::Report(command) => command.run(),
            Self::Generate(command) => command.run(),
            Self::Chat(command) => command.run(),
            Self::Serve(command) => command.run(),
            Self::Traces(command) => command.run(),
            Self::Logprobs(command) => command.run(),
            Self::Score(command) => command.run(),
            Self::Credit(command) => command.run(),
            Self::Parse(command) => command.run(),
            Self::Exec(command) => command.run(),
            Self::Convert(command) => command.run(),
            Self::Config(command) => command.run(),
            Self::Doctor(command) => command.run(),
            Self::Init(command) => command.run(),
            Self::Completions(command) => command.run(),
            Self::Man(command) => command.run(),
        }
    }
}
