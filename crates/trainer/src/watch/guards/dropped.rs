//! Fires when filters leave too little to learn from.

use turnwise_run::StepMetrics;

use super::series::lately;
use super::{Alarm, LimitsConfig};

pub(super) fn look(steps: &[StepMetrics], limits: &LimitsConfig) -> Alarm {
    let dropped = lately(steps, limits.window, |step| step.dropped.value())?;
    let cause = || format!("{:.0} % of trajectories are dropped before the loss", 100.0 * dropped);
    (dropped > limits.dropped).then(|| {
        (cause(), "see dropped_by in metrics.jsonl for the filter; tasks that are sometimes right drop least")
    })
}
