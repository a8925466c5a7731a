//! Errors that keep a run from starting or going on: one line with the place, the value and a hint.

use std::path::PathBuf;

use crate::differences::Difference;

/// Says why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A model folder.
    #[error(transparent)]
    Model(#[from] turnwise_model::ModelError),
    /// An environment.
    #[error(transparent)]
    Env(#[from] turnwise_envs::EnvError),
    /// A data file.
    #[error(transparent)]
    Data(#[from] turnwise_datasets::DataError),
    /// A server of tools.
    #[error(transparent)]
    Tools(#[from] turnwise_mcp::McpError),
    /// A tokenizer that doesn't fit the chat format.
    #[error(transparent)]
    Chat(#[from] turnwise_rollout::chat::ChatError),
    /// An executor that can't be started.
    #[error(transparent)]
    Executor(#[from] turnwise_tools::ExecutorError),
    /// A policy that can't sample.
    #[error(transparent)]
    Policy(#[from] turnwise_rollout::PolicyError),
    /// Servers that can't be used.
    #[error(transparent)]
    Servers(#[from] turnwise_rollout::remote::tokens::ServerError),
    /// A similarity that can't be computed.
    #[error(transparent)]
    Similarity(#[from] turnwise_similarity::SimilarityError),
    /// A run directory.
    #[error(transparent)]
    RunDir(#[from] turnwise_run::RunDirError),
    /// A record of a run.
    #[error(transparent)]
    Record(#[from] turnwise_run::RecordError),
    /// A run was started with another config.
    #[error("{}: the run was started with another config\n{}  hint: --allow-changes goes on with the new one; or name another folder", run.display(), lines(differences))]
    Changed {
        /// The run directory.
        run: PathBuf,
        /// The keys that differ.
        differences: Vec<Difference>,
    },
    /// Ranks that can't run together as they were started.
    #[error("{0}")]
    Launch(String),
    /// A run was asked to be shorter than it is.
    #[error("{}: has done {done} steps, and train.steps is {asked}\n  hint: a run can be made longer, not shorter: --set train.steps={done} or more; or another --run begins anew", run.display())]
    Shorter {
        /// The run directory.
        run: PathBuf,
        /// Steps that it has done.
        done: usize,
        /// Steps that it was asked for.
        asked: usize,
    },
    /// A run was asked to stop, and can go on.
    #[error("{}: stopped after step {step} of {steps}, nothing is lost\n  hint: the same command with --run {} goes on", run.display(), run.display())]
    Stopped {
        /// The run directory.
        run: PathBuf,
        /// Steps done.
        step: usize,
        /// Steps of the whole run.
        steps: usize,
    },
    /// More than half of the trajectories were lost.
    #[error("{lost} of {all} trajectories were lost, more than half; the first: {first}")]
    Lost {
        /// Trajectories that were lost.
        lost: usize,
        /// Trajectories that were to be played.
        all: usize,
        /// The first lost trajectory and its reason.
        first: turnwise_rollout::Lost,
    },
    /// A guard stopped the run.
    #[error("{}: guard {guard} stopped the run at step {step}: {cause}\n  hint: {remedy}, and go on with --allow-changes; or --set guards.{guard}=warn", run.display())]
    Guard {
        /// The run directory.
        run: PathBuf,
        /// The step, counted from 1.
        step: usize,
        /// The guard: its key in `[guards]`.
        guard: &'static str,
        /// The metrics that made it fire.
        cause: String,
        /// Advice against it.
        remedy: String,
    },
    /// Another rank of the run failed.
    #[error("rank {rank}: {text}")]
    Rank {
        /// The rank.
        rank: usize,
        /// Its error.
        text: String,
    },
    /// Anything else about the input.
    #[error("{0}")]
    Input(String),
}

fn lines(differences: &[Difference]) -> String {
    differences.iter().map(|difference| format!("  {difference}\n")).collect::<Vec<_>>().concat()
}
