//! Holds values against JSON schemas.
//!
//! Checked are `type` (one or several), `nullable`, `enum`, `const`, `$ref` and combinations of schemas;
//! ranges of numbers, lengths of texts and lists; and all of that inside objects and lists, with `required`.
//! Keys that a schema doesn't name are accepted, as in the public stacks. Patterns and formats are left to
//! the tool.

mod bounds;
mod form;
mod kind;

use std::cell::Cell;

use serde_json::{Map, Value};

use bounds::exceeded;
pub(crate) use form::{Types, check};
pub(crate) use kind::type_name;
use kind::{equal, mistyped};

/// Maximum depth of references to definitions and of nested values.
const MAX_DEPTH: u32 = 64;
/// Maximum of schemas that one value is held against. Choices of choices multiply.
const MAX_STEPS: u32 = 100_000;

/// Names a part of a value that doesn't meet its schema.
#[derive(Debug, PartialEq)]
pub(crate) struct Mismatch {
    /// The path from the value to the part, as `.key[0]`; empty for the whole.
    path: String,
    what: What,
}

#[derive(Debug, PartialEq)]
enum What {
    Is { found: String, wanted: String },
    Lacks(String),
}

impl Mismatch {
    /// Says what is wrong with the argument of this name.
    pub(crate) fn of_argument(&self, name: &str) -> String {
        let place = format!("{name}{}", self.path);
        match &self.what {
            What::Is { found, wanted } => format!("argument {place:?} is {found}, not {wanted}"),
            What::Lacks(key) => format!("argument {place:?} lacks {key:?}"),
        }
    }

    fn is(found: impl Into<String>, wanted: impl Into<String>) -> Self {
        Self { path: String::new(), what: What::Is { found: found.into(), wanted: wanted.into() } }
    }

    fn under(self, step: &str) -> Self {
        Self { path: format!("{step}{}", self.path), ..self }
    }

    /// Returns what was wanted of the whole value.
    fn wanted(&self) -> Option<&str> {
        match &self.what {
            What::Is { wanted, .. } if self.path.is_empty() => Some(wanted),
            _ => None,
        }
    }
}

/// Returns the first part of a value that doesn't meet a schema. `root` holds the definitions that it refers
/// to.
pub(crate) fn mismatch(value: &Value, schema: &Value, root: &Value) -> Option<Mismatch> {
    Check { root, inside: true, left: Cell::new(MAX_STEPS) }.below(value, schema, 0)
}

/// Returns whether a value is of the kind that a schema asks for, whatever its contents and its size.
pub(crate) fn is_of_kind(value: &Value, schema: &Value, root: &Value) -> bool {
    Check { root, inside: false, left: Cell::new(MAX_STEPS) }.below(value, schema, 0).is_none()
}

/// Returns whether a schema accepts anything.
pub(crate) fn is_open(schema: &Value) -> bool {
    let asks = ["type", "enum", "const", "$ref", "anyOf", "oneOf", "allOf"];
    schema
        .as_object()
        .is_none_or(|schema| !asks.iter().any(|key| schema.get(*key).is_some_and(|v| !v.is_null())))
}

struct Check<'s> {
    root: &'s Value,
    /// Whether bounds and contents count.
    inside: bool,
    /// Schemas that may still be looked at.
    left: Cell<u32>,
}

impl Check<'_> {
    fn below(&self, value: &Value, schema: &Value, depth: u32) -> Option<Mismatch> {
        let Value::Object(keys) = schema else {
            return (schema == &Value::Bool(false)).then(|| Mismatch::is(type_name(value), "anything"));
        };
        let takes_null =
            keys.get("nullable") == Some(&Value::Bool(true)) || keys.get("default") == Some(&Value::Null);
        self.left.set(self.left.get().saturating_sub(1));
        if depth > MAX_DEPTH || self.left.get() == 0 || value.is_null() && takes_null {
            return None;
        }
        let below = |schema: &Value| self.below(value, schema, depth + 1);
        let wanted = |wanted: String| Mismatch::is(type_name(value), wanted);
        let list = |key: &str| keys.get(key).and_then(Value::as_array);
        let unlisted = list("enum").filter(|options| !options.iter().any(|option| equal(option, value)));
        let unlisted = unlisted.map(|options| format!("one of {}", Value::from(options.clone())));
        let other = keys.get("const").filter(|wanted| !equal(wanted, value)).map(Value::to_string);
        let referred = keys
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|path| self.root.pointer(path.strip_prefix('#')?));
        let choices = ["anyOf", "oneOf"].into_iter().filter_map(list).filter(|choices| !choices.is_empty());
        // A mismatch needs all choices to fail.
        let unchosen = |choices: &Vec<Value>| choices.iter().map(below).collect::<Option<Vec<_>>>();
        let kind = unlisted.or(other).or_else(|| mistyped(value, keys.get("type")?)).map(wanted);
        kind.or_else(|| below(referred?))
            .or_else(|| choices.filter_map(unchosen).map(|failed| closest(failed, value)).next())
            .or_else(|| list("allOf")?.iter().find_map(below))
            .or_else(|| self.inside.then(|| self.contents(value, keys, depth + 1))?)
    }

    /// Returns the first mismatch of bounds and contents.
    fn contents(&self, value: &Value, schema: &Map<String, Value>, depth: u32) -> Option<Mismatch> {
        if let Some((found, wanted)) = exceeded(value, schema) {
            return Some(Mismatch::is(found, wanted));
        }
        match value {
            Value::Object(object) => self.keys(object, schema, depth),
            Value::Array(items) => self.items(items, schema, depth),
            _ => None,
        }
    }

    fn keys(&self, object: &Map<String, Value>, schema: &Map<String, Value>, depth: u32) -> Option<Mismatch> {
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        let missing = required.filter_map(Value::as_str).find(|name| !object.contains_key(*name));
        if let Some(name) = missing {
            return Some(Mismatch { path: String::new(), what: What::Lacks(name.into()) });
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        // A pattern may name further keys.
        let others = schema.get("additionalProperties").filter(|others| others.is_object());
        let others = others.filter(|_| !schema.contains_key("patternProperties"));
        object.iter().find_map(|(key, value)| {
            let schema = properties.and_then(|properties| properties.get(key)).or(others)?;
            self.below(value, schema, depth).map(|mismatch| mismatch.under(&format!(".{key}")))
        })
    }

    fn items(&self, items: &[Value], schema: &Map<String, Value>, depth: u32) -> Option<Mismatch> {
        let places = ["prefixItems", "items"].into_iter().find_map(|key| schema.get(key)?.as_array());
        let rest = schema.get("items").filter(|rest| rest.is_object());
        items.iter().enumerate().find_map(|(at, item)| {
            let schema = places.and_then(|places| places.get(at)).or(rest)?;
            self.below(item, schema, depth).map(|mismatch| mismatch.under(&format!("[{at}]")))
        })
    }
}

/// Returns the mismatch of several choices: all kinds that were wanted, or the first fault inside the value,
/// which is of the right kind then.
fn closest(failed: Vec<Mismatch>, value: &Value) -> Mismatch {
    let found = type_name(value);
    let wanted: Option<Vec<&str>> = failed.iter().map(Mismatch::wanted).collect();
    match wanted {
        Some(wanted) => Mismatch::is(found, wanted.join(" or ")),
        None => failed.into_iter().find(|mismatch| mismatch.wanted().is_none()).expect("one is inside"),
    }
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
                assert!(is_of_kind(value, &schema, &root), "{value} for {schema}");
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
        let wanted =
            |schema: Value| mismatch(&json!(1), &schema, &Value::Null).unwrap().wanted().unwrap().to_string();
        assert_eq!(wanted(json!({"type": ["string", "null"]})), "string or null");
        assert_eq!(wanted(json!({"anyOf": [{"type": "string"}, {"type": "null"}]})), "string or null");
        assert_eq!(wanted(json!({"enum": ["a", "b"]})), r#"one of ["a","b"]"#);
        assert_eq!(wanted(json!({"const": "a"})), r#""a""#);
    }

    #[test]
    fn what_is_inside_a_value_is_held_against_its_schema() {
        let root = json!({"$defs": {"tree": {
            "type": "object",
            "properties": {"n": {"type": "integer", "minimum": 0}, "below": {"$ref": "#/$defs/list"}},
            "required": ["n"],
        }, "list": {"type": "array", "items": {"$ref": "#/$defs/tree"}, "maxItems": 2}}});
        let filter = json!({
            "type": "object",
            "properties": {
                "op": {"enum": ["and", "or"]},
                "limit": {"type": "integer", "minimum": 1, "maximum": 10},
                "names": {"type": "array", "items": {"type": "string", "minLength": 1}},
                "pair": {
                    "prefixItems": [{"type": "string"}, {"type": "number"}], "items": {"type": "boolean"},
                },
                "old": {"items": [{"type": "string"}]},
                "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
                "either": {"anyOf": [{"type": "object", "required": ["a"]}, {"type": "null"}]},
                "tree": {"$ref": "#/$defs/tree"},
            },
            "required": ["op"],
        });
        let check = |value: Value, expect: Option<&str>| {
            let found = mismatch(&value, &filter, &root).map(|mismatch| mismatch.of_argument("filter"));
            assert_eq!(found.as_deref(), expect, "{value}");
            assert!(is_of_kind(&value, &filter, &root), "{value}");
        };
        check(json!({"op": "and", "other": {"x": 1}}), None);
        check(json!({"limit": 3}), Some(r#"argument "filter" lacks "op""#));
        let with = |key: &str, value: Value| json!({"op": "or", key: value});
        check(json!({"op": "xor"}), Some(r#"argument "filter.op" is string, not one of ["and","or"]"#));
        check(with("limit", json!(10)), None);
        check(with("limit", json!("3")), Some(r#"argument "filter.limit" is string, not integer"#));
        check(with("limit", json!(0)), Some(r#"argument "filter.limit" is 0, not at least 1"#));
        check(with("names", json!(["a", 1])), Some(r#"argument "filter.names[1]" is number, not string"#));
        let short = r#"argument "filter.names[0]" is 0 characters long, not at least 1 characters"#;
        check(with("names", json!([""])), Some(short));
        check(with("pair", json!(["a", 0.5, true])), None);
        check(with("pair", json!(["a", "b"])), Some(r#"argument "filter.pair[1]" is string, not number"#));
        check(with("pair", json!(["a", 1, 2])), Some(r#"argument "filter.pair[2]" is number, not boolean"#));
        check(with("old", json!([1, 2])), Some(r#"argument "filter.old[0]" is number, not string"#));
        check(with("counts", json!({"a": 1})), None);
        check(
            with("counts", json!({"a": 1.5})),
            Some(r#"argument "filter.counts.a" is number, not integer"#),
        );
        check(with("either", json!(null)), None);
        check(with("either", json!({})), Some(r#"argument "filter.either" lacks "a""#));
        check(with("either", json!(3)), Some(r#"argument "filter.either" is number, not object or null"#));
        check(with("tree", json!({"n": 1, "below": [{"n": 0}]})), None);
        let deep = r#"argument "filter.tree.below[1].n" is -1, not at least 0"#;
        check(with("tree", json!({"n": 1, "below": [{"n": 0}, {"n": -1}]})), Some(deep));
        let long = r#"argument "filter.tree.below" is 3 items long, not at most 2 items"#;
        check(with("tree", json!({"n": 1, "below": [{"n": 0}, {"n": 1}, {"n": 2}]})), Some(long));
    }

    #[test]
    fn a_schema_whose_choices_multiply_costs_a_bounded_time() {
        let again = json!({"allOf": [{"$ref": "#"}, {"type": "string"}]});
        let schema = json!({"anyOf": vec![again; 10]});
        let start = std::time::Instant::now();
        mismatch(&json!(1), &schema, &schema);
        assert!(start.elapsed() < std::time::Duration::from_secs(20), "{:?}", start.elapsed());
    }
}
