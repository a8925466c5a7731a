//! Fires when tool use dies out: the policy answers without calling.

use turnwise_run::StepMetrics;

use super::series::{at_first, lately};
use super::{Alarm, LimitsConfig};

pub(super) fn look(steps: &[StepMetrics], limits: &LimitsConfig) -> Alarm {
    let now = lately(steps, limits.window, calls_per_trajectory)?;
    let first = at_first(steps, limits.window, calls_per_trajectory)?;
    let cause = || format!("{now:.2} calls per trajectory, {first:.2} at first");
    (now < limits.tools_share * first).then(|| {
        (cause(), "read the rollouts: do calls fail, or do they break the format (reward.format_penalty)?")
    })
}

/// Returns calls per trajectory over all turns, well-formed or not.
fn calls_per_trajectory(step: &StepMetrics) -> Option<f64> {
    let trajectories = step.by_turn.first()?.calls.turns;
    let calls: usize = step.by_turn.iter().map(|turn| turn.calls.ok + turn.calls.failed()).sum();
    Some(calls as f64 / trajectories.max(1) as f64)
}
