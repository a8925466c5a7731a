//! Tests: the names after `is`.

use std::rc::Rc;

use crate::budget::{Outcome, fail};
use crate::builtin::names::{FILTERS, TESTS};
use crate::read::syntax::{Comparison, Operator};
use crate::run::arguments::{Arguments, required};
use crate::run::state::Run;
use crate::text::letters::all_cased;
use crate::text::spelling;
use crate::value::Value;
use crate::value::{arithmetic, compare};

/// Returns whether a value passes a test.
pub(crate) fn test(run: &mut Run<'_>, name: &str, value: &Value, args: Arguments) -> Outcome<bool> {
    if !TESTS.contains(&name) {
        return fail(format!("there is no test named {name:?}"));
    }
    if let Some(comparison) = comparison(name) {
        let [other] = args.bind(name, ["other"])?;
        return compare::holds(comparison, value, &required(other, name, "other")?, &mut run.budget);
    }
    match name {
        "divisibleby" | "sameas" => {
            let [other] = args.bind(name, ["other"])?;
            let other = required(other, name, "other")?;
            if name == "sameas" { Ok(same(value, &other)) } else { remainder(run, value, &other, 0) }
        }
        _ => {
            let [] = args.bind(name, [])?;
            plain(run, name, value)
        }
    }
}

fn comparison(name: &str) -> Option<Comparison> {
    Some(match name {
        "==" | "eq" | "equalto" => Comparison::Eq,
        "!=" | "ne" => Comparison::Ne,
        ">" | "gt" | "greaterthan" => Comparison::Gt,
        ">=" | "ge" => Comparison::Ge,
        "<" | "lt" | "lessthan" => Comparison::Lt,
        "<=" | "le" => Comparison::Le,
        "in" => Comparison::In,
        _ => return None,
    })
}

fn plain(run: &mut Run<'_>, name: &str, value: &Value) -> Outcome<bool> {
    Ok(match name {
        "odd" => return remainder(run, value, &Value::Int(2), 1),
        "even" => return remainder(run, value, &Value::Int(2), 0),
        "defined" => !matches!(value, Value::Undefined(_)),
        "undefined" => matches!(value, Value::Undefined(_)),
        "filter" | "test" => {
            compare::hashable(value, &mut run.budget)?;
            let known: &[&str] = if name == "filter" { &FILTERS } else { &TESTS };
            value.as_str().is_some_and(|name| known.contains(&name))
        }
        "none" => matches!(value, Value::None),
        "boolean" => matches!(value, Value::Bool(_)),
        "false" => matches!(value, Value::Bool(false)),
        "true" => matches!(value, Value::Bool(true)),
        "integer" => matches!(value, Value::Int(_)),
        "float" => matches!(value, Value::Float(_)),
        "number" => value.as_float().is_some(),
        "lower" | "upper" => all_cased(&spelling::str(value, &mut run.budget)?, name == "upper"),
        "string" => value.as_str().is_some(),
        "mapping" => matches!(value, Value::Dict(_)),
        "sequence" => matches!(
            value,
            Value::Undefined(_)
                | Value::Text(_)
                | Value::List(_)
                | Value::Tuple(_)
                | Value::Dict(_)
                | Value::Range(..)
        ),
        "iterable" => matches!(
            value,
            Value::Undefined(_)
                | Value::Text(_)
                | Value::List(_)
                | Value::Tuple(_)
                | Value::Dict(_)
                | Value::Range(..)
                | Value::View(..)
                | Value::Iterator(..)
                | Value::Loop(_)
        ),
        "callable" => matches!(
            value,
            Value::Undefined(_)
                | Value::Global(_)
                | Value::Method(_)
                | Value::Macro(_)
                | Value::Loop(_)
                | Value::Joiner(_)
        ),
        _ => matches!(value, Value::Text(text) if text.safe),
    })
}

fn remainder(run: &mut Run<'_>, value: &Value, by: &Value, wanted: i128) -> Outcome<bool> {
    let rest = arithmetic::binary(Operator::Mod, value, by, &mut run.budget)?;
    compare::equal(&rest, &Value::Int(wanted), &mut run.budget)
}

/// Returns whether two values are one object, as far as Python promises that: small numbers and texts are.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::None, Value::None) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Text(a), Value::Text(b)) => a.text == b.text,
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => Rc::ptr_eq(a, b),
        (Value::Dict(a), Value::Dict(b)) => Rc::ptr_eq(a, b),
        (Value::Namespace(a), Value::Namespace(b)) | (Value::Macro(a), Value::Macro(b)) => a == b,
        (Value::Global(a), Value::Global(b)) => a == b,
        _ => false,
    }
}
