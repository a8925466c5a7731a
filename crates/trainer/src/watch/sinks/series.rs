//! The numbers of a record, with where they stand in it.

use serde_json::Value;

use crate::json_lines::Record;

/// A number of a step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Number {
    /// Keys that lead to it, without indices.
    pub(super) keys: Vec<String>,
    /// The turn that it speaks of, if it speaks of one.
    pub(super) turn: Option<usize>,
    pub(super) value: f64,
}

/// All numbers of a record but its step. What was no number when it was written is NaN.
pub(super) fn numbers(record: &Record) -> Vec<Number> {
    let mut found = Vec::new();
    for (key, value) in record.iter().filter(|(key, _)| *key != "step") {
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
