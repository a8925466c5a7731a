//! Filters: the names after `|`. All of Jinja's, except those that make web pages.

mod number;
mod select;
mod sequence;
mod text;

use crate::budget::{Outcome, fail};
use crate::builtin::names::FILTERS;
use crate::run::access;
use crate::run::arguments::{Arguments, required};
use crate::run::state::Run;
use crate::text::json;
use crate::value::Value;
use crate::value::iterate;

/// Applies a filter.
pub(crate) fn apply(run: &mut Run<'_>, name: &str, value: &Value, args: Arguments) -> Outcome<Value> {
    match name {
        "tojson" => json::tojson(value, args, &mut run.budget),
        "default" | "d" => {
            let [default, falsy] = args.bind(name, ["default_value", "boolean"])?;
            let falsy = falsy.is_some_and(|falsy| falsy.truth()) && !value.truth();
            let absent = falsy || matches!(value, Value::Undefined(_));
            Ok(if absent { default.unwrap_or_else(|| Value::text("")) } else { value.clone() })
        }
        "length" | "count" => {
            let [] = args.bind(name, [])?;
            match value {
                Value::Loop(at) => run.loop_length(*at).map(Value::Int),
                value => {
                    if let Some(text) = value.as_str() {
                        run.budget.spend(text.len() / 32)?;
                    }
                    iterate::length(value).map(|length| Value::Int(length as i128))
                }
            }
        }
        "attr" => {
            let [wanted] = args.bind(name, ["name"])?;
            let wanted = required(wanted, name, "name")?;
            match value {
                // An item isn't an attribute.
                Value::Dict(dict) if compare_has(dict, wanted.str()?) => {
                    Ok(Value::undefined(format!("'dict object' has no attribute '{}'", wanted.str()?)))
                }
                value => access::attribute(run, value, wanted.str()?),
            }
        }
        "map" | "select" | "reject" | "selectattr" | "rejectattr" => select::apply(run, name, value, args),
        "abs" | "float" | "int" | "round" | "sum" | "filesizeformat" => number::apply(run, name, value, args),
        "batch" | "dictsort" | "first" | "groupby" | "items" | "last" | "list" | "max" | "min"
        | "reverse" | "slice" | "sort" | "unique" => sequence::apply(run, name, value, args),
        name if FILTERS.contains(&name) => text::apply(run, name, value, args),
        name => fail(format!("there is no filter named {name:?}")),
    }
}

fn compare_has(dict: &crate::value::Dict, name: &str) -> bool {
    let methods = crate::value::containers::OF_DICTS.contains(&name);
    !methods && dict.pairs.iter().any(|(key, _)| key.as_str() == Some(name))
}
