//! Statistics of evaluations and experiments. Every number is checked against scipy in `tests/golden.rs`.
//!
//! | question | function |
//! |---|---|
//! | how good is a model that may try `k` times | [`pass_at_k`], [`majority_at_k`] |
//! | how sure is a mean over tasks | [`percentile_interval`], [`bca_interval`] on [`resample`]d tasks, [`mean_interval`] |
//! | is one better than the other on the same tasks or seeds | [`paired_t`], [`paired_bootstrap`] |
//! | all of that for an evaluation | [`summarize`], [`compare`] |
//! | which of several comparisons hold together | [`holm`] |

mod bootstrap;
mod evaluation;
mod holm;
mod mean;
mod normal;
mod paired;
mod repeated;
mod student;

pub use bootstrap::{
    Interval, bca_interval, paired_bootstrap, percentile_interval, resample, task_bootstrap,
};
pub use evaluation::{Comparison, Estimate, Level, SampleOutcome, Summary, TaskOutcome, compare, summarize};
pub use holm::holm;
pub use mean::{mean, std_dev};
pub use normal::{normal_cdf, normal_quantile};
pub use paired::{PairedT, mean_interval, paired_t};
pub use repeated::{majority_at_k, pass_at_k};
pub use student::{student_cdf, student_quantile};
