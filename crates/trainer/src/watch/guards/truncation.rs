//! Truncation rising: turns get too long, or too many.

use super::series::{at_first, lately, number};
use super::{Alarm, LimitsConfig};
use crate::json_lines::Record;

pub(super) fn look(records: &[Record], limits: &LimitsConfig) -> Alarm {
    let truncated = |record: &Record| number(record, "truncated");
    let (now, first) =
        (lately(records, limits.window, truncated)?, at_first(records, limits.window, truncated)?);
    let cause =
        || format!("{:.0} % of trajectories end at a limit, {:.0} % at first", 100.0 * now, 100.0 * first);
    (now > limits.truncated && now > first).then(|| {
        (cause(), "raise rollout.max_turn_tokens, max_turns or max_tokens, or drop them by filter.truncated")
    })
}
