//! Means of metrics over steps.

use serde_json::Value;

use crate::json_lines::Record;

/// A number of a record.
pub(super) fn number(record: &Record, key: &str) -> Option<f64> {
    record.get(key).and_then(Value::as_f64)
}

/// The mean of the last `window` records, of those that have the number; none if there are fewer, or none has
/// it.
pub(super) fn lately(
    records: &[Record],
    window: usize,
    value: impl Fn(&Record) -> Option<f64>,
) -> Option<f64> {
    mean(records.get(records.len().checked_sub(window)?..)?, value)
}

/// The mean of the first `window` records, if the last `window` are others.
pub(super) fn at_first(
    records: &[Record],
    window: usize,
    value: impl Fn(&Record) -> Option<f64>,
) -> Option<f64> {
    if records.len() < 2 * window { None } else { mean(&records[..window], value) }
}

/// A step without an update has no number that speaks of updates.
fn mean(records: &[Record], value: impl Fn(&Record) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = records.iter().filter_map(value).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
