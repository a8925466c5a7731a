//! Fires when sampler and trainer disagree about the policy. Their log-probabilities have to agree before the
//! first update of a step, and after it the policy may have moved only a little.

use turnwise_run::{Metric, StepMetrics};

use super::series::lately;
use super::{Alarm, LimitsConfig, Watched};

pub(super) fn look(steps: &[StepMetrics], limits: &LimitsConfig, watched: Watched) -> Alarm {
    let last = steps.last()?;
    if !watched.on_policy {
        return None;
    }
    let limit = limits.logprob_gap * watched.rounding.factor();
    if let Some(gap) = last.logprob_gap.value().filter(|gap| *gap > limit) {
        let cause =
            format!("log-probabilities of sampler and trainer differ by {gap:.4} nats before any update");
        return Some((cause, watched.rounding.remedy()));
    }
    let mean = |metric: fn(&StepMetrics) -> Metric| lately(steps, limits.window, |step| metric(step).value());
    let (kl, ratio) = (mean(|step| step.old_kl)?, mean(|step| step.ratio)?);
    let cause = || format!("within a step the policy moves by {kl:.3} nats per token, mean ratio {ratio:.2}");
    (kl > limits.old_kl || (ratio - 1.0).abs() > 0.5)
        .then(|| (cause(), "lower optimizer.lr or optimizer.minibatches"))
}
