//! Fires when all trajectories have the same reward, which leaves nothing to learn from.

use turnwise_run::StepMetrics;

use super::series::lately;
use super::{Alarm, LimitsConfig};

pub(super) fn look(steps: &[StepMetrics], limits: &LimitsConfig) -> Alarm {
    let right = lately(steps, limits.window, |step| step.accuracy.value())?;
    let window = limits.window;
    if right <= 0.0 {
        let cause = format!("no answer was right in {window} steps");
        return Some((cause, "take easier tasks, or a cold start (turnwise sft); read the rollouts first"));
    }
    (right >= 1.0)
        .then(|| (format!("every answer was right in {window} steps"), "take harder tasks: this run is done"))
}
