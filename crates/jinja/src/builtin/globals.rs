//! The functions of templates: `range`, `dict`, `namespace` and those of `transformers`.

use crate::budget::{Budget, Failure, Outcome, fail};
use crate::run::arguments::{Arguments, required};
use crate::run::state::Run;
use crate::text::spelling;
use crate::value::compare::put;
use crate::value::iterate;
use crate::value::{Value, range_length};

/// The longest range.
const RANGE: usize = 100_000;

/// Calls a function.
pub(crate) fn call(run: &mut Run<'_>, name: &str, args: Arguments) -> Outcome<Value> {
    match name {
        "range" => range(args),
        "dict" => {
            let pairs = pairs(args, &mut run.budget)?;
            Value::dict(pairs, &mut run.budget)
        }
        "namespace" => {
            let pairs = pairs(args, &mut run.budget)?;
            run.budget.values(2)?;
            run.namespaces.push(Vec::new());
            let at = run.namespaces.len() - 1;
            for (key, value) in pairs {
                run.set_attribute(at, &key.str()?.into(), value)?;
            }
            Ok(Value::Namespace(at))
        }
        "cycler" => {
            if args.positional.is_empty() {
                return fail("at least one item has to be provided");
            }
            run.cyclers.push((args.positional, 0));
            Ok(Value::Cycler(run.cyclers.len() - 1))
        }
        "joiner" => {
            let [separator] = args.bind(name, ["sep"])?;
            run.joiners.push((separator.unwrap_or_else(|| Value::text(", ")), false));
            Ok(Value::Joiner(run.joiners.len() - 1))
        }
        "raise_exception" => {
            let [message] = args.bind(name, ["message"])?;
            let message = spelling::str(&required(message, name, "message")?, &mut run.budget)?;
            Err(Failure { message, refused: true })
        }
        _ => {
            let [format] = args.bind(name, ["format"])?;
            let format = required(format, name, "format")?;
            run.budget.write(format.str()?.len().saturating_mul(64))?;
            Ok(Value::text(run.now.strftime(format.str()?)))
        }
    }
}

fn range(args: Arguments) -> Outcome<Value> {
    let [first, second, step] = args.bind("range", ["start", "stop", "step"])?;
    let first = required(first, "range", "stop")?.int()?;
    let (start, end) = match second {
        Some(second) => (first, second.int()?),
        None => (0, first),
    };
    let step = step.map_or(Ok(1), |step| step.int())?;
    if step == 0 {
        return fail("range() arg 3 must not be zero");
    }
    let bounded = |number: i128| i64::try_from(number).is_ok();
    if !bounded(start) || !bounded(end) || !bounded(step) || range_length(start, end, step) > RANGE {
        return fail(format!("Range too big. The sandbox blocks ranges larger than MAX_RANGE ({RANGE})."));
    }
    Ok(Value::Range(start, end, step))
}

/// Returns the pairs of `dict(mapping or pairs, name=value)`.
fn pairs(args: Arguments, budget: &mut Budget) -> Outcome<Vec<(Value, Value)>> {
    let mut all = Vec::new();
    if args.positional.len() > 1 {
        return fail(format!("dict expected at most 1 argument, got {}", args.positional.len()));
    }
    match args.positional.into_iter().next() {
        None => {}
        Some(Value::Dict(dict)) => {
            budget.values(2 * dict.pairs.len())?;
            all.clone_from(&dict.pairs);
        }
        Some(other) => {
            for pair in iterate::values(&other, budget)? {
                let mut pair = iterate::values(&pair, budget)?;
                let (Some(value), Some(key), true) = (pair.pop(), pair.pop(), pair.is_empty()) else {
                    return fail("dictionary update sequence elements need a length of 2");
                };
                put(&mut all, key, value, budget)?;
            }
        }
    }
    for (name, value) in args.named {
        put(&mut all, Value::text(name), value, budget)?;
    }
    Ok(all)
}

/// Computes `dict.fromkeys(keys, value)`.
pub(crate) fn from_keys(args: Arguments, budget: &mut Budget) -> Outcome<Value> {
    let [keys, value] = args.bind("fromkeys", ["iterable", "value"])?;
    let value = value.unwrap_or(Value::None);
    let mut all = Vec::new();
    for key in iterate::values(&required(keys, "fromkeys", "iterable")?, budget)? {
        put(&mut all, key, value.clone(), budget)?;
    }
    Value::dict(all, budget)
}
