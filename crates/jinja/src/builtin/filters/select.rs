//! Filters that apply attributes, tests or other filters to every item.

use crate::budget::{Outcome, fail};
use crate::builtin::checks;
use crate::run::access;
use crate::run::arguments::Arguments;
use crate::run::state::Run;
use crate::value::Value;
use crate::value::iterate;

/// Holds the parts of `a.b.0`.
pub(super) type Path = Vec<Value>;

/// Splits an attribute's name; a number is an index.
pub(super) fn path(attribute: Option<&Value>) -> Path {
    match attribute {
        None | Some(Value::None) => Vec::new(),
        Some(Value::Text(text)) => text
            .text
            .split('.')
            .map(|part| {
                let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
                part.parse().ok().filter(|_| digits).map_or_else(|| Value::text(part), Value::Int)
            })
            .collect(),
        Some(other) => vec![other.clone()],
    }
}

/// Returns the value at the end of a path.
pub(super) fn follow(
    run: &mut Run<'_>,
    value: &Value,
    path: &[Value],
    default: Option<&Value>,
) -> Outcome<Value> {
    let mut value = value.clone();
    for part in path {
        value = access::item(run, &value, part)?;
        if let (Value::Undefined(_), Some(default)) = (&value, default.filter(|d| !matches!(d, Value::None)))
        {
            value = default.clone();
        }
    }
    Ok(value)
}

pub(super) fn apply(run: &mut Run<'_>, name: &str, value: &Value, args: Arguments) -> Outcome<Value> {
    if !value.truth() {
        return Value::iterator(Vec::new(), &mut run.budget);
    }
    let values = iterate::values(value, &mut run.budget)?;
    let mut all = Vec::new();
    if name == "map" {
        let by_attribute =
            args.positional.is_empty() && args.named.iter().any(|(name, _)| &**name == "attribute");
        if by_attribute {
            let [attribute, default] = args.bind(name, ["attribute", "default"])?;
            let path = path(attribute.as_ref());
            for value in &values {
                all.push(follow(run, value, &path, default.as_ref())?);
            }
        } else {
            let mut positional = args.positional.into_iter();
            let Some(filter) = positional.next() else { return fail("map requires a filter argument") };
            let rest: Vec<Value> = positional.collect();
            for value in &values {
                run.budget.values(rest.len() + args.named.len())?;
                let args = Arguments { positional: rest.clone(), named: args.named.clone() };
                all.push(super::apply(run, filter.str()?, value, args)?);
            }
        }
        return Value::iterator(all, &mut run.budget);
    }
    let mut positional = args.positional.into_iter();
    let path = if name.ends_with("attr") {
        let Some(attribute) = positional.next() else { return fail("Missing parameter for attribute name") };
        path(Some(&attribute))
    } else {
        Vec::new()
    };
    let test = positional.next();
    let rest: Vec<Value> = positional.collect();
    for value in values {
        let looked_at = follow(run, &value, &path, None)?;
        let passes = match &test {
            None => looked_at.truth(),
            Some(test) => {
                run.budget.values(rest.len() + args.named.len())?;
                let args = Arguments { positional: rest.clone(), named: args.named.clone() };
                checks::test(run, test.str()?, &looked_at, args)?
            }
        };
        if passes == name.starts_with("select") {
            all.push(value);
        }
    }
    Value::iterator(all, &mut run.budget)
}
