//! Methods of dictionaries, lists and tuples that don't change them.

use crate::budget::{Budget, Outcome, fail};
use crate::run::arguments::{Arguments, required};
use crate::value::compare::{equal, find};
use crate::value::{Value, View};

pub(crate) const OF_DICTS: [&str; 5] = ["get", "items", "keys", "values", "copy"];
pub(crate) const OF_LISTS: [&str; 3] = ["index", "count", "copy"];
pub(crate) const OF_TUPLES: [&str; 2] = ["index", "count"];

/// Calls a method.
pub(crate) fn call(value: &Value, method: &str, args: Arguments, budget: &mut Budget) -> Outcome<Value> {
    match value {
        Value::Dict(dict) => match method {
            "get" => {
                let [key, default] = args.bind("get", ["key", "default"])?;
                let key = required(key, "get", "key")?;
                let found = find(&dict.pairs, &key, budget)?.map(|at| dict.pairs[at].1.clone());
                Ok(found.or(default).unwrap_or(Value::None))
            }
            "copy" => Ok(value.clone()),
            _ => {
                let [] = args.bind(method, [])?;
                let view = match method {
                    "keys" => View::Keys,
                    "values" => View::Values,
                    _ => View::Items,
                };
                Ok(Value::View(view, dict.clone()))
            }
        },
        Value::List(items) | Value::Tuple(items) => {
            if method == "copy" {
                return Ok(value.clone());
            }
            let [wanted, start, end] = args.bind(method, ["value", "start", "end"])?;
            let wanted = required(wanted, method, "value")?;
            let place = |bound: Option<Value>, default: usize| -> Outcome<usize> {
                let Some(bound) = bound else { return Ok(default) };
                let length = items.values.len() as i128;
                let bound = bound.int()?;
                Ok((if bound < 0 { bound + length } else { bound }).clamp(0, length) as usize)
            };
            let (start, end) = (place(start, 0)?, place(end, items.values.len())?);
            let mut count = 0;
            for at in start..end.max(start) {
                if equal(&items.values[at], &wanted, budget)? {
                    if method == "index" {
                        return Ok(Value::Int(at as i128));
                    }
                    count += 1;
                }
            }
            if method == "index" { fail("the value is not in the list") } else { Ok(Value::Int(count)) }
        }
        Value::Float(number) => Ok(Value::Bool(number.fract() == 0.0)),
        _ => fail(format!("'{}' object has no method '{method}'", value.type_name())),
    }
}
