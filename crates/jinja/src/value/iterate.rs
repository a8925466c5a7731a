//! Iterates over the items of a value.

use crate::budget::{Budget, Outcome, fail};
use crate::value::{Dict, Value, View, range_length};

/// Returns the values that a loop iterates over. An iterator is empty afterwards.
pub(crate) fn values(value: &Value, budget: &mut Budget) -> Outcome<Vec<Value>> {
    let all: Vec<Value> = match value {
        Value::Undefined(_) => Vec::new(),
        Value::Text(text) => {
            budget.values(text.text.len())?;
            // The letters of markup aren't markup.
            return Ok(text.text.chars().map(|c| Value::text(c.to_string())).collect());
        }
        Value::List(items) | Value::Tuple(items) => items.values.clone(),
        Value::Dict(dict) => viewed(View::Keys, dict, budget)?,
        Value::View(view, dict) => viewed(*view, dict, budget)?,
        Value::Range(start, end, step) => {
            let length = range_length(*start, *end, *step);
            budget.values(length)?;
            return Ok((0..length).map(|at| Value::Int(start + at as i128 * step)).collect());
        }
        Value::Iterator(rest, _) => rest.borrow_mut().drain(..).collect(),
        _ => return fail(format!("'{}' object is not iterable", value.type_name())),
    };
    budget.values(all.len())?;
    Ok(all)
}

fn viewed(view: View, dict: &Dict, budget: &mut Budget) -> Outcome<Vec<Value>> {
    let pairs = dict.pairs.iter();
    match view {
        View::Keys => Ok(pairs.map(|(key, _)| key.clone()).collect()),
        View::Values => Ok(pairs.map(|(_, value)| value.clone()).collect()),
        View::Items => {
            pairs.map(|(key, value)| Value::tuple(vec![key.clone(), value.clone()], budget)).collect()
        }
    }
}

/// Returns the number of its values.
pub(crate) fn length(value: &Value) -> Outcome<usize> {
    Ok(match value {
        Value::Undefined(_) => 0,
        Value::Text(text) => text.text.chars().count(),
        Value::List(items) | Value::Tuple(items) => items.values.len(),
        Value::Dict(dict) | Value::View(_, dict) => dict.pairs.len(),
        Value::Range(start, end, step) => range_length(*start, *end, *step),
        _ => return fail(format!("object of type '{}' has no len()", value.type_name())),
    })
}
