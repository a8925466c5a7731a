//! Filters that return numbers.

use super::select::{follow, path};
use crate::budget::{Outcome, fail};
use crate::read::syntax::Operator;
use crate::run::arguments::Arguments;
use crate::run::state::Run;
use crate::text::letters::stripped;
use crate::value::Value;
use crate::value::arithmetic::binary;
use crate::value::iterate;

pub(super) fn apply(run: &mut Run<'_>, name: &str, value: &Value, args: Arguments) -> Outcome<Value> {
    match name {
        "abs" => {
            let [] = args.bind(name, [])?;
            match (value, value.as_int()) {
                (Value::Float(number), _) => Ok(Value::Float(number.abs())),
                (_, Some(number)) => Ok(Value::Int(number.saturating_abs())),
                _ => fail(format!("bad operand type for abs(): '{}'", value.type_name())),
            }
        }
        "float" => {
            let [default] = args.bind(name, ["default"])?;
            let number = float(value)?.map(Value::Float);
            Ok(number.or(default).unwrap_or(Value::Float(0.0)))
        }
        "int" => {
            let [default, base] = args.bind(name, ["default", "base"])?;
            let base = base.map_or(Ok(10), |base| base.int())?;
            Ok(int(value, base)?.map(Value::Int).or(default).unwrap_or(Value::Int(0)))
        }
        "round" => round(value, args),
        "sum" => {
            let [attribute, start] = args.bind(name, ["attribute", "start"])?;
            let path = path(attribute.as_ref());
            let mut sum = start.unwrap_or(Value::Int(0));
            if sum.as_str().is_some() {
                return fail("sum() can't sum strings [use ''.join(seq) instead]");
            }
            for value in iterate::values(value, &mut run.budget)? {
                let value = follow(run, &value, &path, None)?;
                sum = binary(Operator::Add, &sum, &value, &mut run.budget)?;
            }
            Ok(sum)
        }
        _ => {
            let [is_binary] = args.bind(name, ["binary"])?;
            let Some(bytes) = float(value)? else { return fail("filesizeformat takes a number") };
            Ok(Value::text(size(bytes, is_binary.is_some_and(|is_binary| is_binary.truth()))))
        }
    }
}

/// Returns the result of `float()` for a value.
fn float(value: &Value) -> Outcome<Option<f64>> {
    match value {
        Value::Undefined(why) => fail(&**why),
        Value::Text(text) => {
            let text = digits(&text.text).to_lowercase();
            let plain = text.trim_start_matches(['+', '-']);
            let named = matches!(plain, "inf" | "infinity" | "nan");
            let number = plain.starts_with(|c: char| c.is_ascii_digit() || c == '.');
            Ok(if named || number { text.parse().ok() } else { None })
        }
        value => Ok(value.as_float()),
    }
}

/// Returns a number's text without the underscores between digits.
fn digits(text: &str) -> String {
    let text = stripped(text, None, true, true);
    let inside = |at: usize| {
        let bytes = text.as_bytes();
        at > 0
            && bytes[at - 1].is_ascii_alphanumeric()
            && bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric)
    };
    text.char_indices().filter(|(at, c)| *c != '_' || !inside(*at)).map(|(_, c)| c).collect()
}

/// Returns the result of `int()` for a value, or for the float that a text spells.
fn int(value: &Value, base: i128) -> Outcome<Option<i128>> {
    if let Value::Text(text) = value {
        let text = digits(&text.text).to_lowercase();
        let (sign, plain) = match text.strip_prefix('-') {
            Some(plain) => (-1, plain),
            None => (1, text.strip_prefix('+').unwrap_or(&text)),
        };
        let prefixed = [("0x", 16), ("0o", 8), ("0b", 2)];
        let found =
            prefixed.iter().find(|(prefix, of)| (base == 0 || base == *of) && plain.starts_with(prefix));
        let (plain, radix) =
            found.map_or((plain, if base == 0 { 10 } else { base }), |(_, of)| (&plain[2..], *of));
        let radix = u32::try_from(radix).ok().filter(|radix| (2..=36).contains(radix));
        let starts = plain.starts_with(|c: char| c.is_ascii_alphanumeric());
        if let Some(number) =
            radix.filter(|_| starts).and_then(|radix| i128::from_str_radix(plain, radix).ok())
        {
            return Ok(Some(sign * number));
        }
    } else if let Some(number) = value.as_int() {
        return Ok(Some(number));
    }
    // A larger number than an integer holds is treated as invalid.
    Ok(float(value)?.filter(|number| number.abs() < 1e38).map(|number| number.trunc() as i128))
}

fn round(value: &Value, args: Arguments) -> Outcome<Value> {
    let [precision, method] = args.bind("round", ["precision", "method"])?;
    let precision = precision.map_or(Ok(0), |precision| precision.int())?;
    let Ok(precision) = i32::try_from(precision.clamp(-400, 400)) else { return fail("round: precision") };
    let Some(number) = value.as_float() else {
        return fail(format!("type {} doesn't define __round__ method", value.type_name()));
    };
    let power = 10_f64.powi(precision);
    let method = method.as_ref().map_or(Some("common"), Value::as_str);
    match (method, value.as_int()) {
        (Some("common"), Some(whole)) if precision >= 0 => Ok(Value::Int(whole)),
        (Some("common"), Some(whole)) => {
            let Some(unit) = 10_i128.checked_pow(precision.unsigned_abs()) else { return Ok(Value::Int(0)) };
            let (below, rest) = (whole.div_euclid(unit), whole.rem_euclid(unit));
            let up = rest > unit - rest || (rest == unit - rest && below % 2 != 0);
            let rounded = (below + i128::from(up)).checked_mul(unit);
            rounded.map(Value::Int).map_or_else(|| fail("an integer is too large"), Ok)
        }
        // The digits of a number are exact, and halves are rounded to the even digit.
        (Some("common"), None) if precision >= 0 && number.is_finite() => {
            Ok(Value::Float(format!("{number:.*}", precision as usize).parse().unwrap_or(number)))
        }
        (Some("common"), None) => Ok(Value::Float((number * power).round_ties_even() / power)),
        (Some("ceil"), _) => Ok(Value::Float((number * power).ceil() / power)),
        (Some("floor"), _) => Ok(Value::Float((number * power).floor() / power)),
        _ => fail("method must be common, ceil or floor"),
    }
}

fn size(bytes: f64, binary: bool) -> String {
    let base: f64 = if binary { 1024.0 } else { 1000.0 };
    if bytes == 1.0 {
        return "1 Byte".into();
    }
    if bytes < base {
        return format!("{} Bytes", bytes.trunc() as i64);
    }
    let names = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
    let unit = |at: usize| base.powi(at as i32 + 2);
    let at = (0..names.len()).find(|at| bytes < unit(*at)).unwrap_or(names.len() - 1);
    let name = if binary { format!("{}iB", names[at].to_uppercase()) } else { format!("{}B", names[at]) };
    format!("{:.1} {name}", base * bytes / unit(at))
}
