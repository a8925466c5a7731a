//! Sampler and trainer disagree about the policy: before the first update of a step their log-probabilities have to be
//! the same, and after it the policy may have moved only a little.

use super::series::{lately, number};
use super::{Alarm, LimitsConfig, Watched};
use crate::json_lines::Record;

/// Rounding of bf16 and f16 next to that of f32.
const COARSE: f64 = 20.0;

pub(super) fn look(records: &[Record], limits: &LimitsConfig, watched: Watched) -> Alarm {
    let last = records.last()?;
    if !watched.on_policy {
        return None;
    }
    let limit = limits.logprob_gap * if watched.full_precision { 1.0 } else { COARSE };
    if let Some(gap) = number(last, "logprob_gap").filter(|gap| *gap > limit) {
        let cause =
            format!("log-probabilities of sampler and trainer differ by {gap:.4} nats before any update");
        return Some((cause, "compare with optimizer.precision=f32; if it stays, this is a bug of turnwise"));
    }
    let mean = |key: &'static str| lately(records, limits.window, |record| number(record, key));
    let (kl, ratio) = (mean("old_kl")?, mean("ratio")?);
    let cause = || format!("within a step the policy moves by {kl:.3} nats per token, mean ratio {ratio:.2}");
    (kl > limits.old_kl || (ratio - 1.0).abs() > 0.5)
        .then(|| (cause(), "lower optimizer.lr or optimizer.minibatches"))
}
