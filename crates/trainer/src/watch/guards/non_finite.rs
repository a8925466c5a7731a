//! Fires on NaN or infinity in the loss, the gradient or the weights.

use turnwise_run::StepMetrics;

use super::Alarm;

pub(super) fn look(steps: &[StepMetrics]) -> Alarm {
    let last = steps.last()?;
    let names =
        [(last.loss, "the loss"), (last.grad_norm, "the gradient"), (last.weight_norm, "the weights")];
    let broken: Vec<&str> =
        names.into_iter().filter(|(metric, _)| metric.is_broken()).map(|(_, name)| name).collect();
    let cause = || format!("NaN or infinity in {}", broken.join(" and "));
    (!broken.is_empty()).then(|| (cause(), "lower optimizer.lr, or set optimizer.clip_norm"))
}
