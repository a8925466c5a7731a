//! Fires when truncation rises: turns get too long, or too many. A step whose prompts leave no room for a
//! turn fires it at once.

use turnwise_run::StepMetrics;

use super::series::{at_first, lately};
use super::{Alarm, LimitsConfig};

const NO_ROOM: &str = "raise rollout.max_tokens, up to the model's context, or shorten the prompts: another rollout.format \
                       describes tools in fewer tokens, rollout.describe_tools = false leaves that out";

pub(super) fn look(steps: &[StepMetrics], limits: &LimitsConfig) -> Alarm {
    let latest = steps.last()?;
    if (latest.turns.value(), latest.truncated.value()) == (Some(0.0), Some(1.0)) {
        let tokens = latest.tokens.value().unwrap_or_default();
        return Some((format!("prompts of {tokens:.0} tokens leave no room for a turn"), NO_ROOM));
    }
    let truncated = |step: &StepMetrics| step.truncated.value();
    let (now, first) = (lately(steps, limits.window, truncated)?, at_first(steps, limits.window, truncated)?);
    let cause =
        || format!("{:.0} % of trajectories end at a limit, {:.0} % at first", 100.0 * now, 100.0 * first);
    (now > limits.truncated && now > first).then(|| {
        (cause(), "raise rollout.max_turn_tokens, max_turns or max_tokens, or drop them by filter.truncated")
    })
}
