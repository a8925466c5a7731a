//! NaN or infinity in the loss, the gradient or the weights.

use serde_json::Value;

use super::Alarm;
use crate::json_lines::Record;

/// JSON has no NaN: a number that is none is written as `null`.
pub(super) fn look(records: &[Record]) -> Alarm {
    let last = records.last()?;
    let names = [("loss", "the loss"), ("grad_norm", "the gradient"), ("weight_norm", "the weights")];
    let broken: Vec<&str> = names
        .into_iter()
        .filter(|(key, _)| last.get(*key).is_some_and(Value::is_null))
        .map(|(_, n)| n)
        .collect();
    let cause = || format!("NaN or infinity in {}", broken.join(" and "));
    (!broken.is_empty()).then(|| (cause(), "lower optimizer.lr, or set optimizer.clip_norm"))
}
