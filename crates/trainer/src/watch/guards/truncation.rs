//! Fires when truncation rises: turns get too long, or too many.

use turnwise_run::StepMetrics;

use super::series::{at_first, lately};
use super::{Alarm, LimitsConfig};

pub(super) fn look(steps: &[StepMetrics], limits: &LimitsConfig) -> Alarm {
    let truncated = |step: &StepMetrics| step.truncated.value();
    let (now, first) = (lately(steps, limits.window, truncated)?, at_first(steps, limits.window, truncated)?);
    let cause =
        || format!("{:.0} % of trajectories end at a limit, {:.0} % at first", 100.0 * now, 100.0 * first);
    (now > limits.truncated && now > first).then(|| {
        (cause(), "raise rollout.max_turn_tokens, max_turns or max_tokens, or drop them by filter.truncated")
    })
}
