//! Equality, order and membership, with Python's results.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::budget::{Budget, Outcome, fail};
use crate::read::syntax::Comparison;
use crate::value::iterate;
use crate::value::{Items, Value};

/// Returns whether two values are equal.
pub(crate) fn equal(a: &Value, b: &Value, budget: &mut Budget) -> Outcome<bool> {
    budget.spend(1)?;
    Ok(match (a, b) {
        (Value::Undefined(_), Value::Undefined(_)) | (Value::None, Value::None) => true,
        (Value::Text(a), Value::Text(b)) => {
            budget.spend(a.text.len().min(b.text.len()) / 64)?;
            a.text == b.text
        }
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) if Rc::ptr_eq(a, b) => true,
        (Value::Dict(a), Value::Dict(b)) if Rc::ptr_eq(a, b) => true,
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
            if a.values.len() != b.values.len() {
                return Ok(false);
            }
            for (a, b) in a.values.iter().zip(&b.values) {
                if !equal(a, b, budget)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Dict(a), Value::Dict(b)) => {
            if a.pairs.len() != b.pairs.len() {
                return Ok(false);
            }
            for (key, value) in &a.pairs {
                match find(&b.pairs, key, budget)? {
                    Some(at) if equal(value, &b.pairs[at].1, budget)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        (Value::Range(a, b, c), Value::Range(d, e, f)) => (a, b, c) == (d, e, f),
        (Value::Namespace(a), Value::Namespace(b))
        | (Value::Macro(a), Value::Macro(b))
        | (Value::Loop(a), Value::Loop(b)) => a == b,
        (Value::Global(a), Value::Global(b)) => a == b,
        _ => match (a.as_int(), b.as_int()) {
            (Some(a), Some(b)) => a == b,
            _ => matches!((a.as_float(), b.as_float()), (Some(a), Some(b)) if a == b),
        },
    })
}

/// Returns the index of a key.
pub(crate) fn find(pairs: &[(Value, Value)], key: &Value, budget: &mut Budget) -> Outcome<Option<usize>> {
    budget.spend(pairs.len() / 16)?;
    if let Value::Text(wanted) = key {
        return Ok(pairs.iter().position(|(key, _)| key.as_str() == Some(&wanted.text)));
    }
    hashable(key, budget)?;
    for (at, (known, _)) in pairs.iter().enumerate() {
        if equal(known, key, budget)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// Fails for a value that can't be a key.
pub(crate) fn hashable(key: &Value, budget: &mut Budget) -> Outcome<()> {
    budget.spend(1)?;
    match key {
        Value::List(_) | Value::Dict(_) | Value::View(..) => {
            fail(format!("unhashable type: '{}'", key.type_name()))
        }
        Value::Tuple(items) => items.values.iter().try_for_each(|item| hashable(item, budget)),
        _ => Ok(()),
    }
}

/// Returns the order of two values. None if one of them is NaN.
pub(crate) fn order(a: &Value, b: &Value, symbol: &str, budget: &mut Budget) -> Outcome<Option<Ordering>> {
    budget.spend(1)?;
    match (a, b) {
        (Value::Undefined(why), _) | (_, Value::Undefined(why)) => fail(&**why),
        (Value::Text(a), Value::Text(b)) => {
            budget.spend(a.text.len().min(b.text.len()) / 64)?;
            Ok(Some(a.text.cmp(&b.text)))
        }
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
            order_of_items(a, b, symbol, budget)
        }
        _ => match (a.as_int(), b.as_int(), a.as_float(), b.as_float()) {
            (Some(a), Some(b), ..) => Ok(Some(a.cmp(&b))),
            (_, _, Some(a), Some(b)) => Ok(a.partial_cmp(&b)),
            _ => fail(format!(
                "'{symbol}' not supported between instances of '{}' and '{}'",
                a.type_name(),
                b.type_name()
            )),
        },
    }
}

fn order_of_items(a: &Items, b: &Items, symbol: &str, budget: &mut Budget) -> Outcome<Option<Ordering>> {
    for (a, b) in a.values.iter().zip(&b.values) {
        if !equal(a, b, budget)? {
            return order(a, b, symbol, budget);
        }
    }
    Ok(Some(a.values.len().cmp(&b.values.len())))
}

/// Returns whether `container` contains `item`.
pub(crate) fn contains(container: &Value, item: &Value, budget: &mut Budget) -> Outcome<bool> {
    match container {
        Value::Text(text) => {
            let Some(part) = item.as_str() else {
                return fail(format!(
                    "'in <string>' requires string as left operand, not {}",
                    item.type_name()
                ));
            };
            budget.spend(text.text.len() / 32)?;
            Ok(text.text.contains(part))
        }
        Value::Dict(dict) => Ok(find(&dict.pairs, item, budget)?.is_some()),
        Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
            fail(format!("argument of type '{}' is not iterable", container.type_name()))
        }
        _ => {
            for value in iterate::values(container, budget)? {
                if equal(&value, item, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}

/// Sorts values by their keys, keeping the order of equal ones.
pub(crate) fn sort(
    keyed: Vec<(Value, Value)>,
    descending: bool,
    budget: &mut Budget,
) -> Outcome<Vec<(Value, Value)>> {
    // A merge sort, because comparisons may fail and NaN has no order.
    if keyed.len() < 2 {
        return Ok(keyed);
    }
    budget.values(keyed.len())?;
    let mut left = keyed;
    let right = left.split_off(left.len() / 2);
    let left = sort(left, descending, budget)?;
    let right = sort(right, descending, budget)?;
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let (small, large) = if descending { (a, b) } else { (b, a) };
        let swap = order(&small.0, &large.0, "<", budget)? == Some(Ordering::Less);
        merged.extend(if swap { right.next() } else { left.next() });
    }
    merged.extend(left);
    merged.extend(right);
    Ok(merged)
}

/// Returns whether a comparison holds.
pub(crate) fn holds(comparison: Comparison, a: &Value, b: &Value, budget: &mut Budget) -> Outcome<bool> {
    let mut ordered = |symbol, wanted: &[Ordering]| {
        Ok(order(a, b, symbol, budget)?.is_some_and(|order| wanted.contains(&order)))
    };
    match comparison {
        Comparison::Lt => ordered("<", &[Ordering::Less]),
        Comparison::Le => ordered("<=", &[Ordering::Less, Ordering::Equal]),
        Comparison::Gt => ordered(">", &[Ordering::Greater]),
        Comparison::Ge => ordered(">=", &[Ordering::Greater, Ordering::Equal]),
        Comparison::Eq => equal(a, b, budget),
        Comparison::Ne => Ok(!equal(a, b, budget)?),
        Comparison::In => contains(b, a, budget),
        Comparison::NotIn => Ok(!contains(b, a, budget)?),
    }
}

/// Puts a pair into a dictionary: an existing key keeps its position.
pub(crate) fn put(
    pairs: &mut Vec<(Value, Value)>,
    key: Value,
    value: Value,
    budget: &mut Budget,
) -> Outcome<()> {
    hashable(&key, budget)?;
    match find(pairs, &key, budget)? {
        Some(at) => pairs[at].1 = value,
        None => pairs.push((key, value)),
    }
    Ok(())
}
