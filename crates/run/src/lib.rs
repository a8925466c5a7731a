//! Writes and reads a run on disk, for the trainer, for reports, and for a resumed run.
//!
//! The crate computes nothing and knows no tensors and no environments. A run directory holds
//!
//! | file | what | type |
//! |---|---|---|
//! | `config.toml` | the resolved config | |
//! | `env.json` | versions, device, executor, commit, and when the run began | [`RunEnvironment`] |
//! | `metrics.jsonl` | one line per step, the same for the same seed | [`StepMetrics`] |
//! | `times.jsonl` | one line per step: wall time, processor time, memory | [`StepTimes`] |
//! | `rollouts/step_00012.jsonl` | one line per group of the step | [`GroupRecord`] |
//! | `rollouts/replaced_00012.jsonl` | the groups that others replaced, if any | [`GroupRecord`] |
//! | `checkpoints/step_00012/` | a Hugging Face folder, moments, state, manifest | [`Checkpoint`] |
//! | `evaluation.json` | held-out evaluations before and after, once the run has ended | [`Evaluations`] |
//! | `log.txt` | what the run said | [`Log`] |
//! | `lock` | held while a process uses the directory | [`RunDir`] |
//!
//! **Adding a metric** takes one field of [`StepMetrics`] or [`TurnMetrics`], and the line in the trainer's
//! `record.rs` that computes it. `metrics.jsonl` and the sinks then have it by its name. Curves are lists of
//! metrics: `curves.rs` of the inspect crate and `tui/curves.rs` of the binary. Records of older versions may
//! lack fields or have extra keys; both are read.
//!
//! Files are written under another name, flushed to disk and renamed, or appended as whole lines. The
//! directory holds whole files only, whatever kills the process. No symbolic link inside a run is followed.

pub mod checkpoint;
mod environment;
mod error;
mod evaluation;
mod group;
pub mod json_lines;
mod lock;
mod log;
pub mod manifest;
mod metric;
mod metrics;
mod recorded;
mod retention;
mod reward_metrics;
mod run_dir;
mod task_choice;
mod times;
mod turn_metrics;
pub mod whole_folder;

pub use checkpoint::{Checkpoint, State};
pub use environment::RunEnvironment;
pub use error::{RecordError, RunDirError};
pub use evaluation::{Evaluation, Evaluations};
pub use group::{GroupRecord, Replaced, TrajectoryRecord};
pub use log::Log;
pub use metric::Metric;
pub use metrics::{DroppedBy, SequenceMetrics, StepMetrics};
pub use recorded::{ModelLimits, Recorded};
pub use retention::prune;
pub use reward_metrics::RewardMetrics;
pub use run_dir::{CONFIG, REPLACED, RunDir, is_run};
pub use task_choice::{CurriculumMetrics, RefillMetrics};
pub use times::StepTimes;
pub use turn_metrics::{TurnCalls, TurnCredit, TurnLoss, TurnMetrics};
