//! Tells kinds of values, and which values are equal, as JSON schema does.

use serde_json::Value;

/// Returns the name of a value's type in JSON.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Names of types in JSON schema.
pub(super) const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// Returns the types that a schema asks for, if the value has none of them.
pub(super) fn mistyped(value: &Value, types: &Value) -> Option<String> {
    let wanted: Vec<&str> = match types {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    (!wanted.is_empty() && !wanted.iter().any(|wanted| has_type(value, wanted))).then(|| wanted.join(" or "))
}

fn has_type(value: &Value, wanted: &str) -> bool {
    match wanted {
        // In JSON schema a number without a fractional part is an integer, however it's written.
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|x| x.fract() == 0.0),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "null" => value.is_null(),
        // A type that JSON schema doesn't know restricts nothing. Only recorded tools have such types.
        _ => true,
    }
}

/// Returns whether JSON schema regards two values as equal. It doesn't distinguish `1` from `1.0`.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => match (integer(a), integer(b)) {
            (Some(x), Some(y)) => x == y,
            (None, None) => x.as_f64() == y.as_f64(),
            (Some(_), None) | (None, Some(_)) => false,
        },
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

/// Returns a number's value if it's an integer. Floats beyond 2^100 can't be distinguished from their
/// neighbours anyway.
fn integer(number: &Value) -> Option<i128> {
    let exact = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    exact.or_else(|| {
        let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 1e30)?;
        #[expect(clippy::cast_possible_truncation, reason = "its size was just checked")]
        let integer = float as i128;
        Some(integer)
    })
}
