//! Checks the type of an argument against a JSON schema.

use serde_json::Value;

/// Maximum depth of references to definitions.
const MAX_DEPTH: u32 = 16;

/// Returns what the schema expects, if the value doesn't meet it. `root` holds the definitions that it refers
/// to.
///
/// It checks `type` (one or several), `nullable`, `enum`, `const`, `$ref` and combinations of schemas.
/// Bounds, patterns and the contents of objects and arrays are left to the tool.
pub(crate) fn mismatch(value: &Value, schema: &Value, root: &Value) -> Option<String> {
    mismatch_within(value, schema, root, 0)
}

/// Returns whether a schema accepts anything.
pub(crate) fn is_open(schema: &Value) -> bool {
    let asks = ["type", "enum", "const", "$ref", "anyOf", "oneOf", "allOf"];
    schema
        .as_object()
        .is_none_or(|schema| !asks.iter().any(|key| schema.get(*key).is_some_and(|v| !v.is_null())))
}

fn mismatch_within(value: &Value, schema: &Value, root: &Value, depth: u32) -> Option<String> {
    let Value::Object(keys) = schema else {
        return (schema == &Value::Bool(false)).then(|| "anything".into());
    };
    let takes_null =
        keys.get("nullable") == Some(&Value::Bool(true)) || keys.get("default") == Some(&Value::Null);
    if depth > MAX_DEPTH || value.is_null() && takes_null {
        return None;
    }
    let below = |schema: &Value| mismatch_within(value, schema, root, depth + 1);
    let list = |key: &str| keys.get(key).and_then(Value::as_array);
    let unlisted = list("enum").filter(|options| !options.iter().any(|option| equal(option, value)));
    let unlisted = unlisted.map(|options| format!("one of {}", Value::from(options.clone())));
    let other = keys.get("const").filter(|wanted| !equal(wanted, value)).map(Value::to_string);
    let referred =
        keys.get("$ref").and_then(Value::as_str).and_then(|path| root.pointer(path.strip_prefix('#')?));
    let choices = ["anyOf", "oneOf"].into_iter().filter_map(list).filter(|choices| !choices.is_empty());
    // A mismatch needs all choices to fail.
    let unchosen = |choices: &Vec<Value>| choices.iter().map(below).collect::<Option<Vec<_>>>();
    unlisted
        .or(other)
        .or_else(|| mistyped(value, keys.get("type")?))
        .or_else(|| below(referred?))
        .or_else(|| choices.filter_map(unchosen).map(|wanted| wanted.join(" or ")).next())
        .or_else(|| list("allOf")?.iter().find_map(below))
}

fn mistyped(value: &Value, types: &Value) -> Option<String> {
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
        // A type that JSON schema doesn't know restricts nothing.
        _ => true,
    }
}

/// Returns whether JSON schema regards two values as equal. It doesn't distinguish `1` from `1.0`.
fn equal(a: &Value, b: &Value) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_held_against_schemas() {
        let root = json!({"$defs": {"unit": {"enum": ["C", "F"]}, "loop": {"$ref": "#/$defs/loop"}}});
        let check = |schema: Value, right: &[Value], wrong: &[Value]| {
            for value in right {
                assert_eq!(mismatch(value, &schema, &root), None, "{value} for {schema}");
            }
            for value in wrong {
                assert!(mismatch(value, &schema, &root).is_some(), "{value} for {schema}");
            }
        };
        check(
            json!({"type": "integer"}),
            &[json!(3), json!(3.0), json!(u64::MAX)],
            &[json!(3.5), json!("3")],
        );
        check(json!({"type": "number"}), &[json!(3), json!(0.5)], &[json!("3"), json!(true)]);
        check(json!({"type": ["string", "null"]}), &[json!("x"), json!(null)], &[json!(1)]);
        check(json!({"type": "string", "nullable": true}), &[json!("x"), json!(null)], &[json!(1)]);
        check(json!({"type": "string", "nullable": false}), &[json!("x")], &[json!(null)]);
        check(json!({"type": "string", "default": null}), &[json!("x"), json!(null)], &[json!(1)]);
        check(json!({"type": "string", "default": "y"}), &[json!("x")], &[json!(null)]);
        check(
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
            &[json!("x"), json!(null)],
            &[json!(1)],
        );
        check(
            json!({"oneOf": [{"type": "integer"}, {"type": "number"}]}),
            &[json!(1), json!(1.5)],
            &[json!("1")],
        );
        check(
            json!({"allOf": [{"type": "string"}, {"enum": ["a", 1]}]}),
            &[json!("a")],
            &[json!(1), json!("b")],
        );
        check(json!({"anyOf": []}), &[json!(1)], &[]);
        check(json!({"enum": [1, 2]}), &[json!(1), json!(1.0)], &[json!(1.5), json!("1"), json!(3)]);
        check(json!({"enum": [0.5, 1.0]}), &[json!(1), json!(0.5)], &[json!(0)]);
        check(json!({"enum": [[1, {"a": 2}]]}), &[json!([1.0, {"a": 2.0}])], &[json!([1])]);
        check(json!({"enum": [9_007_199_254_740_993_i64]}), &[], &[json!(9_007_199_254_740_992_i64)]);
        check(json!({"const": 2}), &[json!(2), json!(2.0)], &[json!("2"), json!(null)]);
        check(json!({"$ref": "#/$defs/unit"}), &[json!("C")], &[json!("K"), json!(1)]);
        check(json!({"$ref": "#/$defs/loop"}), &[json!(1)], &[]);
        check(json!({"$ref": "#/$defs/none"}), &[json!(1)], &[]);
        check(json!({"type": null}), &[json!(1), json!(null)], &[]);
        check(json!({"type": "any"}), &[json!(1)], &[]);
        check(json!(true), &[json!(1)], &[]);
        check(json!(false), &[], &[json!(1)]);
    }

    #[test]
    fn a_mismatch_says_what_is_wanted() {
        let wanted = |schema: Value| mismatch(&json!(1), &schema, &Value::Null).unwrap();
        assert_eq!(wanted(json!({"type": ["string", "null"]})), "string or null");
        assert_eq!(wanted(json!({"anyOf": [{"type": "string"}, {"type": "null"}]})), "string or null");
        assert_eq!(wanted(json!({"enum": ["a", "b"]})), r#"one of ["a","b"]"#);
        assert_eq!(wanted(json!({"const": "a"})), r#""a""#);
    }
}
