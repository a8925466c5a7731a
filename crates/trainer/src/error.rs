//! Why a run can't start or go on: one line with the place, the value and a hint.

/// A failed run.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A model folder.
    #[error(transparent)]
    Model(#[from] turnwise_model::ModelError),
    /// An environment.
    #[error(transparent)]
    Env(#[from] turnwise_envs::EnvError),
    /// A tokenizer that doesn't fit the chat format.
    #[error(transparent)]
    Chat(#[from] turnwise_rollout::chat::ChatError),
    /// An executor that can't be started.
    #[error(transparent)]
    Executor(#[from] turnwise_tools::ExecutorError),
    /// A policy that can't sample.
    #[error(transparent)]
    Policy(#[from] turnwise_rollout::PolicyError),
    /// A similarity that can't be computed.
    #[error(transparent)]
    Similarity(#[from] turnwise_rl::SimilarityError),
    /// A run directory.
    #[error(transparent)]
    RunDir(#[from] crate::run_dir::RunDirError),
    /// Anything else about the input.
    #[error("{0}")]
    Input(String),
}
