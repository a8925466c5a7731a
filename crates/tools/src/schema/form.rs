//! Checks that a schema is one: the parts of it that values are held against.

use serde_json::{Map, Value};

use super::kind::type_name;

/// Names the place of a wrong part of a schema, and the part.
pub(crate) struct Wrong {
    pub(crate) place: String,
    pub(crate) message: String,
}

/// Keys whose value is a list of schemas.
const CHOICES: [&str; 4] = ["anyOf", "oneOf", "allOf", "prefixItems"];
/// Keys whose value is an object of schemas.
const NAMED: [&str; 3] = ["properties", "$defs", "definitions"];
/// Keys whose value is a number. Two of them are truth values in old drafts.
const NUMBERS: [&str; 8] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
];

/// Checks the schema of a tool's arguments. Without one, anything goes.
pub(crate) fn check(schema: &Value, place: &str) -> Result<(), Wrong> {
    let keys = match schema {
        Value::Null => return Ok(()),
        Value::Object(keys) => keys,
        other => return Err(wrong(place, other, SCHEMA)),
    };
    if let Some(required) = said(keys, "required").filter(|required| !required.is_array()) {
        return Err(wrong(&join(place, "required"), required, "a list of names"));
    }
    inside(keys, place)
}

const SCHEMA: &str = "a JSON schema (an object)";

/// Checks a schema at any depth. Values are as deep as JSON is read.
fn any(schema: &Value, place: &str) -> Result<(), Wrong> {
    match schema {
        Value::Object(keys) => inside(keys, place),
        Value::Null | Value::Bool(_) => Ok(()),
        other => Err(wrong(place, other, SCHEMA)),
    }
}

fn inside(keys: &Map<String, Value>, place: &str) -> Result<(), Wrong> {
    let is_name = |types: &Value| types.is_string();
    if let Some(types) = said(keys, "type")
        && !(is_name(types) || types.as_array().is_some_and(|types| types.iter().all(is_name)))
    {
        return Err(wrong(&join(place, "type"), types, "the name of a type or a list of such names"));
    }
    let isnt = |key: &'static str, is: fn(&Value) -> bool| said(keys, key).filter(|value| !is(value));
    if let Some(other) = isnt("enum", Value::is_array) {
        return Err(wrong(&join(place, "enum"), other, "a list"));
    }
    if let Some(other) = isnt("$ref", Value::is_string) {
        return Err(wrong(&join(place, "$ref"), other, "text"));
    }
    for key in NUMBERS {
        let is_flag = |value: &Value| key.starts_with("exclusive") && value.is_boolean();
        if let Some(other) = said(keys, key).filter(|value| !(value.is_number() || is_flag(value))) {
            return Err(wrong(&join(place, key), other, "a number"));
        }
    }
    match said(keys, "required") {
        // In old drafts a property says of itself whether it is required.
        None | Some(Value::Bool(_)) => {}
        Some(Value::Array(names)) => {
            if let Some(other) = names.iter().find(|name| !name.is_string()) {
                return Err(wrong(&join(place, "required"), other, "a name"));
            }
        }
        Some(other) => return Err(wrong(&join(place, "required"), other, "a list of names")),
    }
    for key in CHOICES {
        let Some(choices) = said(keys, key) else { continue };
        let place = join(place, key);
        list(choices.as_array().ok_or_else(|| wrong(&place, choices, "a list"))?, &place)?;
    }
    for key in NAMED {
        let Some(named) = said(keys, key) else { continue };
        let place = join(place, key);
        let named = named.as_object().ok_or_else(|| wrong(&place, named, "an object"))?;
        named.iter().try_for_each(|(name, schema)| any(schema, &join(&place, name)))?;
    }
    if let Some(items) = said(keys, "items") {
        let place = join(place, "items");
        // In old drafts a list has a schema for each place.
        items.as_array().map_or_else(|| any(items, &place), |places| list(places, &place))?;
    }
    keys.get("additionalProperties").map_or(Ok(()), |rest| any(rest, &join(place, "additionalProperties")))
}

fn list(schemas: &[Value], place: &str) -> Result<(), Wrong> {
    schemas.iter().enumerate().try_for_each(|(at, schema)| any(schema, &format!("{place}[{at}]")))
}

/// Returns the value of a key unless it's null.
fn said<'a>(keys: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    keys.get(key).filter(|value| !value.is_null())
}

fn join(place: &str, key: &str) -> String {
    format!("{place}.{key}")
}

fn wrong(place: &str, value: &Value, wanted: &str) -> Wrong {
    Wrong { place: place.into(), message: format!("{}, not {wanted}", type_name(value)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schema_is_one_at_any_depth() {
        let nested = |schema: Value| {
            let list = json!({"type": "array", "items": {"anyOf": [{"type": "null"}, schema]}});
            json!({"properties": {"x": {"properties": {"y": list}, "required": ["y"]}}})
        };
        let place = "parameters.properties.x.properties.y.items.anyOf[1]";
        for (schema, expect) in [
            (json!({"type": 3}), "type: number, not the name of a type or a list of such names"),
            (json!({"enum": "a"}), "enum: string, not a list"),
            (json!({"required": "a"}), "required: string, not a list of names"),
            (json!({"required": [1]}), "required: number, not a name"),
            (json!({"properties": []}), "properties: array, not an object"),
            (json!({"properties": {"z": 3}}), "properties.z: number, not a JSON schema (an object)"),
            (json!({"items": "a"}), "items: string, not a JSON schema (an object)"),
            (json!({"items": [{}, 3]}), "items[1]: number, not a JSON schema (an object)"),
            (json!({"prefixItems": {}}), "prefixItems: object, not a list"),
            (
                json!({"additionalProperties": []}),
                "additionalProperties: array, not a JSON schema (an object)",
            ),
            (json!({"$defs": {"d": {"oneOf": 1}}}), "$defs.d.oneOf: number, not a list"),
            (json!({"$ref": {}}), "$ref: object, not text"),
            (json!({"minimum": "1"}), "minimum: string, not a number"),
            (json!({"maxItems": true}), "maxItems: boolean, not a number"),
        ] {
            let wrong =
                check(&nested(schema.clone()), "parameters").err().unwrap_or_else(|| panic!("{schema}"));
            assert_eq!(format!("{}: {}", wrong.place, wrong.message), format!("{place}.{expect}"));
        }
        for schema in [
            json!({"exclusiveMinimum": true, "minimum": 0, "required": true, "items": [{}, true]}),
            json!({"type": null, "enum": null, "items": null, "additionalProperties": false, "$defs": {}}),
            json!({"pattern": 3, "format": [], "title": {}}),
            json!(true),
        ] {
            assert!(check(&nested(schema.clone()), "parameters").is_ok(), "{schema}");
        }
        assert!(check(&Value::Null, "parameters").is_ok());
    }
}
