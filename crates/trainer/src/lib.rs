//! The training step and everything around it: run config, metrics, supervised fine-tuning, evaluation.
//!
//! | folder | holds |
//! |---|---|
//! | `config/` | what a run file says |
//! | `play/` | rollouts: the policy, what it plays with, evaluation |
//! | `learn/` | gradients, micro-batches, the optimizer |
//! | `device/` | the backend, its check, its workers |
//! | `ranks/` | what several processes of a run agree on |
//! | `watch/` | guards, progress, sinks |
//! | `cold_start/` | supervised fine-tuning, models from nothing |
//!
//! | file | holds |
//! |---|---|
//! | `step.rs` | one step: play, score, weigh, learn |
//! | `record.rs` | metrics and rollouts of a step: each metric is computed here |
//! | `training.rs`, `training_loop.rs` | a run from its beginning; its steps, checkpoints and evaluations |
//! | `resume.rs`, `resume_point.rs`, `differences.rs` | the checkpoint that a run goes on from, and what changed since |
//! | `task_choice.rs`, `step_rollouts.rs` | metrics of refill and curriculum; the rollouts that a step learns from |
//! | `environment_check.rs`, `server_checks.rs` | the checks of `turnwise doctor` |
//! | `run_site.rs` | where a run is and who runs it |
//! | `player.rs`, `ahead.rs` | a play with fixed weights, also ahead of its step (`rollout.lag`) |
//! | `memory_estimate.rs` | the memory of a run, before it begins |

mod ahead;
mod cold_start;
mod device;
mod learn;
mod play;
mod ranks;
mod watch;

pub mod config;
pub mod differences;
mod environment_check;
mod error;
pub mod memory_estimate;
mod player;
mod record;
mod resume;
mod resume_point;
mod run_site;
mod server_checks;
mod step;
mod step_rollouts;
mod task_choice;
mod training;
mod training_loop;

pub use cold_start::{Learnt, Preview, cold_start, preview, scratch, sft};
pub use device::{backend, memory, self_check};
pub use environment_check::{EnvironmentCheck, check_environment};
pub use error::TrainError;
pub use learn::{Optimizer, ScoreSketch, Sketch, Update, nll, precisions, score_sketches};
pub use play::{
    CacheBudget, Keep, ModelPolicy, Offer, Play, RolloutSource, RunServers, ServedModel, Setup, Trial,
    check_precision, evaluate, evaluate_agents, evaluate_on, executor, generator, generator_in, sampling,
    tokenizer,
};
pub use record::{StepRecord, Times};
pub use resume::is_unfinished;
pub use run_site::RunSite;
pub use server_checks::{ServerCheck, check_servers};
pub use step::Trainer;
pub use step_rollouts::StepRollouts;
pub use training::train;
pub use training_loop::{Finished, RunOptions};
pub use turnwise_envs::TaskSplit;
pub use watch::{Spent, guards, processor_time, progress};
