//! Entropy collapse: the policy has become nearly deterministic, so that a group's trajectories are all the same.

use super::series::{at_first, lately, number};
use super::{Alarm, LimitsConfig};
use crate::json_lines::Record;

pub(super) fn look(records: &[Record], limits: &LimitsConfig) -> Alarm {
    let entropy = |record: &Record| number(record, "entropy");
    let (now, first) = (lately(records, limits.window, entropy)?, at_first(records, limits.window, entropy)?);
    let cause = || format!("entropy {now:.3} nats per token, {first:.3} at first");
    (now < limits.entropy_share * first)
        .then(|| (cause(), "lower optimizer.lr, raise loss.{loss}.eps_high, or add loss.{loss}.entropy"))
}
