//! Operators on numbers, texts and lists, with Python's results.

use crate::budget::{Budget, Outcome, fail};
use crate::read::syntax::Operator;
use crate::text::escape::escaped;
use crate::text::printf;
use crate::value::{Items, Text, Value};

const TOO_LARGE: &str = "an integer is too large";

/// Computes `a operator b`.
pub(crate) fn binary(operator: Operator, a: &Value, b: &Value, budget: &mut Budget) -> Outcome<Value> {
    if let Value::Undefined(why) = a {
        return fail(&**why);
    }
    // A format before `%` takes an undefined value as empty.
    if let (Value::Undefined(why), false) = (b, operator == Operator::Mod && a.as_str().is_some()) {
        return fail(&**why);
    }
    match (operator, a, b) {
        (Operator::Add, Value::Text(a), Value::Text(b)) => return added(a, b, budget),
        (Operator::Add, Value::List(a), Value::List(b)) => return Value::list(joined(a, b, budget)?, budget),
        (Operator::Add, Value::Tuple(a), Value::Tuple(b)) => {
            return Value::tuple(joined(a, b, budget)?, budget);
        }
        (Operator::Mul, Value::Text(_) | Value::List(_) | Value::Tuple(_), times) => {
            if let Some(times) = times.as_int() {
                return repeated(a, times, budget);
            }
        }
        (Operator::Mul, times, Value::Text(_) | Value::List(_) | Value::Tuple(_)) => {
            if let Some(times) = times.as_int() {
                return repeated(b, times, budget);
            }
        }
        (Operator::Mod, Value::Text(format), _) => return printf::format(format, b, budget),
        _ => {}
    }
    if let (Some(a), Some(b)) = (a.as_int(), b.as_int()) {
        return integers(operator, a, b);
    }
    if let (Some(a), Some(b)) = (a.as_float(), b.as_float()) {
        return floats(operator, a, b);
    }
    fail(format!(
        "unsupported operand type(s) for {}: '{}' and '{}'",
        symbol(operator),
        a.type_name(),
        b.type_name()
    ))
}

fn symbol(operator: Operator) -> &'static str {
    match operator {
        Operator::Add => "+",
        Operator::Sub => "-",
        Operator::Mul => "*",
        Operator::Div => "/",
        Operator::FloorDiv => "//",
        Operator::Mod => "%",
        Operator::Pow => "** or pow()",
    }
}

/// Adds texts; markup escapes the other one.
fn added(a: &Text, b: &Text, budget: &mut Budget) -> Outcome<Value> {
    let safe = a.safe || b.safe;
    let (a, b) =
        if safe { (escaped(a, budget)?, escaped(b, budget)?) } else { (a.text.clone(), b.text.clone()) };
    budget.write(a.len() + b.len())?;
    Ok(Value::Text(Text { text: format!("{a}{b}").into(), safe }))
}

fn joined(a: &Items, b: &Items, budget: &mut Budget) -> Outcome<Vec<Value>> {
    budget.values(a.values.len() + b.values.len())?;
    Ok(a.values.iter().chain(&b.values).cloned().collect())
}

fn repeated(value: &Value, times: i128, budget: &mut Budget) -> Outcome<Value> {
    let times = usize::try_from(times.max(0)).unwrap_or(usize::MAX);
    let items = |items: &Items, budget: &mut Budget| {
        budget.values(items.values.len().saturating_mul(times))?;
        Ok(std::iter::repeat_n(&items.values, if items.values.is_empty() { 0 } else { times })
            .flatten()
            .cloned()
            .collect())
    };
    match value {
        Value::Text(text) => {
            budget.write(text.text.len().saturating_mul(times))?;
            let times = if text.text.is_empty() { 0 } else { times };
            Ok(Value::Text(Text { text: text.text.repeat(times).into(), safe: text.safe }))
        }
        Value::List(list) => Value::list(items(list, budget)?, budget),
        Value::Tuple(tuple) => Value::tuple(items(tuple, budget)?, budget),
        _ => fail("only texts and lists can be repeated"),
    }
}

fn integers(operator: Operator, a: i128, b: i128) -> Outcome<Value> {
    let zero = b == 0;
    let whole = match operator {
        Operator::Add => a.checked_add(b),
        Operator::Sub => a.checked_sub(b),
        Operator::Mul => a.checked_mul(b),
        Operator::Div if zero => return fail("division by zero"),
        Operator::Div => return Ok(Value::Float(a as f64 / b as f64)),
        Operator::FloorDiv | Operator::Mod if zero => return fail("integer modulo by zero"),
        // Python rounds towards minus infinity.
        Operator::FloorDiv => {
            a.checked_div(b).map(|quotient| quotient - i128::from(a % b != 0 && (a < 0) != (b < 0)))
        }
        Operator::Mod => {
            a.checked_rem(b).map(|rest| if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
        }
        Operator::Pow if b < 0 => return floats(operator, a as f64, b as f64),
        Operator::Pow => match a {
            0 | 1 => Some(if b == 0 { 1 } else { a }),
            -1 => Some(if b % 2 == 0 { 1 } else { -1 }),
            _ => u32::try_from(b).ok().and_then(|power| a.checked_pow(power)),
        },
    };
    whole.map(Value::Int).map_or_else(|| fail(TOO_LARGE), Ok)
}

fn floats(operator: Operator, a: f64, b: f64) -> Outcome<Value> {
    // A remainder has the sign of the divisor.
    let rest = || {
        let rest = a % b;
        if rest == 0.0 {
            0.0_f64.copysign(b)
        } else if (rest < 0.0) == (b < 0.0) {
            rest
        } else {
            rest + b
        }
    };
    let number = match operator {
        Operator::Add => a + b,
        Operator::Sub => a - b,
        Operator::Mul => a * b,
        Operator::Div | Operator::FloorDiv | Operator::Mod if b == 0.0 => return fail("division by zero"),
        Operator::Div => a / b,
        Operator::FloorDiv => match ((a - rest()) / b).round() {
            0.0 => 0.0_f64.copysign(a / b),
            whole => whole,
        },
        Operator::Mod => rest(),
        Operator::Pow if a == 0.0 && b < 0.0 => return fail("0.0 cannot be raised to a negative power"),
        Operator::Pow if a < 0.0 && b.fract() != 0.0 => return fail("complex numbers aren't supported"),
        Operator::Pow => a.powf(b),
    };
    Ok(Value::Float(number))
}

/// Computes `-a` or `+a`.
pub(crate) fn sign(value: &Value, negative: bool) -> Outcome<Value> {
    match (value, value.as_int()) {
        (Value::Undefined(why), _) => fail(&**why),
        (Value::Float(number), _) => Ok(Value::Float(if negative { -number } else { *number })),
        (_, Some(number)) if negative => {
            number.checked_neg().map(Value::Int).map_or_else(|| fail(TOO_LARGE), Ok)
        }
        (_, Some(number)) => Ok(Value::Int(number)),
        _ => fail(format!("bad operand type for unary sign: '{}'", value.type_name())),
    }
}
