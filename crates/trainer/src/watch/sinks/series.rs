//! Lists the numbers of a record with their keys.

use serde_json::Value;
use turnwise_run::StepMetrics;

/// Holds a number of a step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Number {
    /// Keys that lead to it, without indices.
    pub(super) keys: Vec<String>,
    /// The turn that it belongs to, if any.
    pub(super) turn: Option<usize>,
    pub(super) value: f64,
}

/// Returns all numbers of a step's metrics but the step, under their keys in `metrics.jsonl`.
pub(super) fn numbers(metrics: &StepMetrics) -> Vec<Number> {
    let mut found = Vec::new();
    let record = serde_json::to_value(metrics).expect("metrics are plain JSON");
    for (key, value) in record.as_object().into_iter().flatten().filter(|(key, _)| *key != "step") {
        collect(vec![key.clone()], None, value, &mut found);
    }
    found
}

fn collect(keys: Vec<String>, turn: Option<usize>, value: &Value, found: &mut Vec<Number>) {
    match value {
        Value::Number(number) => {
            found.push(Number { keys, turn, value: number.as_f64().unwrap_or(f64::NAN) });
        }
        Value::Null => found.push(Number { keys, turn, value: f64::NAN }),
        Value::Object(fields) => {
            for (key, value) in fields {
                collect([keys.clone(), vec![key.clone()]].concat(), turn, value, found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(keys.clone(), Some(index), item, found);
            }
        }
        Value::Bool(_) | Value::String(_) => {}
    }
}
