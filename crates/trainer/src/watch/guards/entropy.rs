//! Fires when entropy collapses: the policy is nearly deterministic, so a group's trajectories are all alike.

use turnwise_run::StepMetrics;

use super::series::{at_first, lately};
use super::{Alarm, LimitsConfig};

pub(super) fn look(steps: &[StepMetrics], limits: &LimitsConfig) -> Alarm {
    let entropy = |step: &StepMetrics| step.entropy.value();
    let (now, first) = (lately(steps, limits.window, entropy)?, at_first(steps, limits.window, entropy)?);
    let cause = || format!("entropy {now:.3} nats per token, {first:.3} at first");
    (now < limits.entropy_share * first)
        .then(|| (cause(), "lower optimizer.lr, raise loss.{loss}.eps_high, or add loss.{loss}.entropy"))
}
