//! Filters that leave too little to learn from.

use super::series::{lately, number};
use super::{Alarm, LimitsConfig};
use crate::json_lines::Record;

pub(super) fn look(records: &[Record], limits: &LimitsConfig) -> Alarm {
    let dropped = lately(records, limits.window, |record| number(record, "dropped"))?;
    let cause = || format!("{:.0} % of trajectories are dropped before the loss", 100.0 * dropped);
    (dropped > limits.dropped).then(|| {
        (cause(), "see dropped_by in metrics.jsonl for the filter; tasks that are sometimes right drop least")
    })
}
