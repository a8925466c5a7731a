//! Attributes, items and slices: `value.name`, `value[key]`, `value[a:b:c]`.

use std::rc::Rc;

use crate::budget::{Budget, Outcome, fail};
use crate::builtin::names::OF_TEXTS;
use crate::run::state::Run;
use crate::value::compare::find;
use crate::value::containers;
use crate::value::{Text, Value, range_length};

/// Methods that change their value, which templates may not call.
const CHANGES: [&str; 14] = [
    "append",
    "extend",
    "insert",
    "remove",
    "sort",
    "reverse",
    "pop",
    "popitem",
    "clear",
    "update",
    "setdefault",
    "add",
    "discard",
    "difference_update",
];

/// Returns `value.name`: an attribute, or else an item of this name.
pub(crate) fn attribute(run: &mut Run<'_>, value: &Value, name: &str) -> Outcome<Value> {
    if let Value::Undefined(why) = value {
        return fail(&**why);
    }
    if let Some(found) = own(run, value, name)? {
        return Ok(found);
    }
    if let Value::Dict(dict) = value
        && let Some(at) = find(&dict.pairs, &Value::text(name), &mut run.budget)?
    {
        return Ok(dict.pairs[at].1.clone());
    }
    Ok(Value::undefined(format!("'{} object' has no attribute '{name}'", value.type_name())))
}

/// Returns `value[key]`: an item, or else an attribute of this name.
pub(crate) fn item(run: &mut Run<'_>, value: &Value, key: &Value) -> Outcome<Value> {
    if let Value::Undefined(why) = value {
        return fail(&**why);
    }
    let found = match (value, key) {
        (Value::Dict(dict), Value::List(_) | Value::Dict(_)) => {
            let _ = dict;
            None
        }
        (Value::Dict(dict), _) => find(&dict.pairs, key, &mut run.budget)?.map(|at| dict.pairs[at].1.clone()),
        _ => match key.as_int() {
            Some(index) => indexed(value, index, &mut run.budget)?,
            None => None,
        },
    };
    if let Some(found) = found {
        return Ok(found);
    }
    if let Some(name) = key.as_str()
        && let Some(found) = own(run, value, name)?
    {
        return Ok(found);
    }
    let key = crate::text::spelling::repr(key, &mut run.budget)?;
    Ok(Value::undefined(format!("{} object has no element {key}", value.type_name())))
}

/// Returns an attribute of the value's type.
fn own(run: &mut Run<'_>, value: &Value, name: &str) -> Outcome<Option<Value>> {
    let found = match value {
        Value::Namespace(at) => {
            run.namespaces[*at].iter().find(|(known, _)| &**known == name).map(|(_, v)| v.clone())
        }
        Value::Loop(at) => run.loop_attribute(*at, name)?,
        Value::Macro(at) if name == "name" => Some(Value::text(run.macros[*at].0.name.clone())),
        Value::Cycler(at) if name == "current" => {
            let (items, next) = &run.cyclers[*at];
            items.get(*next).cloned()
        }
        Value::Tuple(items) if items.group && name == "grouper" => Some(items.values[0].clone()),
        Value::Tuple(items) if items.group && name == "list" => Some(items.values[1].clone()),
        _ => None,
    };
    if found.is_some() {
        return Ok(found);
    }
    let known: &[&str] = match value {
        Value::Text(_) => &OF_TEXTS,
        Value::Dict(_) => &containers::OF_DICTS,
        Value::List(_) => &containers::OF_LISTS,
        Value::Tuple(_) => &containers::OF_TUPLES,
        Value::Float(_) => &["is_integer"],
        Value::Loop(_) => &["cycle", "changed"],
        Value::Cycler(_) => &["next", "reset"],
        Value::Global("dict") => &["fromkeys"],
        _ => &[],
    };
    if known.contains(&name) {
        return Ok(Some(Value::Method(Rc::new((value.clone(), name.into())))));
    }
    if matches!(value, Value::List(_) | Value::Dict(_)) && CHANGES.contains(&name) {
        return Ok(Some(Value::undefined(format!(
            "access to attribute '{name}' of '{}' object is unsafe.",
            value.type_name()
        ))));
    }
    Ok(None)
}

/// Returns the item at an index, counted from the end if it is negative.
fn indexed(value: &Value, index: i128, budget: &mut Budget) -> Outcome<Option<Value>> {
    let place = |length: usize| {
        let place = if index < 0 { index + length as i128 } else { index };
        usize::try_from(place).ok().filter(|place| *place < length)
    };
    Ok(match value {
        Value::List(items) | Value::Tuple(items) => {
            place(items.values.len()).map(|at| items.values[at].clone())
        }
        Value::Text(text) => {
            budget.spend(text.text.len() / 32)?;
            let length = text.text.chars().count();
            let letter = place(length).and_then(|at| text.text.chars().nth(at));
            letter.map(|c| Value::Text(Text { text: c.to_string().into(), safe: text.safe }))
        }
        Value::Range(start, end, step) => {
            place(range_length(*start, *end, *step)).map(|at| Value::Int(start + at as i128 * step))
        }
        _ => None,
    })
}

/// Returns `value[start:end:step]`, if the value has items in an order.
pub(crate) fn slice(
    value: &Value,
    bounds: &[Option<Value>; 3],
    budget: &mut Budget,
) -> Outcome<Option<Value>> {
    let bound = |value: &Option<Value>| match value {
        None | Some(Value::None) => Ok(None),
        Some(Value::Undefined(why)) => fail(&**why),
        Some(value) => match value.as_int() {
            Some(number) => Ok(Some(number)),
            None => fail("slice indices must be integers or None"),
        },
    };
    let bounds = [bound(&bounds[0])?, bound(&bounds[1])?, bound(&bounds[2])?];
    let found = match value {
        Value::Undefined(why) => return fail(&**why),
        Value::List(items) => Value::list(sliced(&items.values, bounds)?, budget)?,
        Value::Tuple(items) => Value::tuple(sliced(&items.values, bounds)?, budget)?,
        Value::Range(start, end, step) => {
            let (first, last, each) = places(range_length(*start, *end, *step), bounds)?;
            let place = |at: i128| at.checked_mul(*step).and_then(|far| far.checked_add(*start));
            match (place(first), place(last), each.checked_mul(*step)) {
                (Some(first), Some(last), Some(each)) => Value::Range(first, last, each),
                _ => return fail("an integer is too large"),
            }
        }
        Value::Text(text) => {
            budget.write(text.text.len().saturating_mul(4))?;
            let letters: Vec<char> = text.text.chars().collect();
            let cut: String = sliced(&letters, bounds)?.into_iter().collect();
            Value::Text(Text { text: cut.into(), safe: text.safe })
        }
        _ => return Ok(None),
    };
    Ok(Some(found))
}

/// Returns the first index of a slice, the one past its last, and the step.
fn places(length: usize, [start, end, step]: [Option<i128>; 3]) -> Outcome<(i128, i128, i128)> {
    let (length, step) = (length as i128, step.unwrap_or(1));
    if step == 0 {
        return fail("slice step cannot be zero");
    }
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let place = |bound: Option<i128>, default: i128| {
        let Some(bound) = bound else { return default };
        (if bound < 0 { bound.saturating_add(length) } else { bound }).clamp(low, high)
    };
    Ok(if step > 0 {
        (place(start, low), place(end, high), step)
    } else {
        (place(start, high), place(end, low), step)
    })
}

fn sliced<T: Clone>(items: &[T], bounds: [Option<i128>; 3]) -> Outcome<Vec<T>> {
    let (mut at, end, step) = places(items.len(), bounds)?;
    let mut all = Vec::new();
    while if step > 0 { at < end } else { at > end } {
        all.push(items[at as usize].clone());
        at = at.saturating_add(step);
    }
    Ok(all)
}
