//! A reward that is the same for all: there is nothing to learn from.

use super::series::{lately, number};
use super::{Alarm, LimitsConfig};
use crate::json_lines::Record;

pub(super) fn look(records: &[Record], limits: &LimitsConfig) -> Alarm {
    let right = lately(records, limits.window, |record| number(record, "accuracy"))?;
    let steps = limits.window;
    if right <= 0.0 {
        let cause = format!("no answer was right in {steps} steps");
        return Some((cause, "take easier tasks, or a cold start (turnwise sft); read the rollouts first"));
    }
    (right >= 1.0)
        .then(|| (format!("every answer was right in {steps} steps"), "take harder tasks: this run is done"))
}
