//! Checks that a schema is one: the parts of it that values are held against.

use serde_json::{Map, Value};
use turnwise_runfile::nearest;

use super::kind::{TYPES, type_name};

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

/// Says which names of types a schema may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Types {
    /// Those of JSON schema.
    Known,
    /// Any. An unknown one restricts nothing.
    Any,
}

/// Checks the schema of a tool's arguments. Without one, anything goes.
pub(crate) fn check(schema: &Value, place: &str, types: Types) -> Result<(), Wrong> {
    let keys = match schema {
        Value::Null => return Ok(()),
        Value::Object(keys) => keys,
        other => return Err(wrong(place, other, SCHEMA)),
    };
    if let Some(required) = said(keys, "required").filter(|required| !required.is_array()) {
        return Err(wrong(&join(place, "required"), required, "a list of names"));
    }
    inside(keys, place, types)
}

/// Characters of an unknown name that a message shows.
const SHOWN: usize = 40;
const SCHEMA: &str = "a JSON schema (an object)";

/// Checks a schema at any depth. Values are as deep as JSON is read.
fn any(schema: &Value, place: &str, types: Types) -> Result<(), Wrong> {
    match schema {
        Value::Object(keys) => inside(keys, place, types),
        Value::Null | Value::Bool(_) => Ok(()),
        other => Err(wrong(place, other, SCHEMA)),
    }
}

fn inside(keys: &Map<String, Value>, place: &str, types: Types) -> Result<(), Wrong> {
    if let Some(named) = said(keys, "type") {
        let place = join(place, "type");
        let one = std::slice::from_ref(named);
        for name in named.as_array().map_or(one, Vec::as_slice) {
            let name = name.as_str();
            let name =
                name.ok_or_else(|| wrong(&place, named, "the name of a type or a list of such names"))?;
            if types == Types::Known && !TYPES.contains(&name) {
                return Err(unknown_type(name, place));
            }
        }
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
        list(choices.as_array().ok_or_else(|| wrong(&place, choices, "a list"))?, &place, types)?;
    }
    for key in NAMED {
        let Some(named) = said(keys, key) else { continue };
        let place = join(place, key);
        let named = named.as_object().ok_or_else(|| wrong(&place, named, "an object"))?;
        named.iter().try_for_each(|(name, schema)| any(schema, &join(&place, name), types))?;
    }
    if let Some(items) = said(keys, "items") {
        let place = join(place, "items");
        // In old drafts a list has a schema for each place.
        items.as_array().map_or_else(|| any(items, &place, types), |places| list(places, &place, types))?;
    }
    let rest = keys.get("additionalProperties");
    rest.map_or(Ok(()), |rest| any(rest, &join(place, "additionalProperties"), types))
}

fn list(schemas: &[Value], place: &str, types: Types) -> Result<(), Wrong> {
    schemas.iter().enumerate().try_for_each(|(at, schema)| any(schema, &format!("{place}[{at}]"), types))
}

fn unknown_type(name: &str, place: String) -> Wrong {
    let near = nearest(name, TYPES).map(|near| format!("did you mean {near:?}?"));
    let hint = near.unwrap_or_else(|| format!("known are {}", TYPES.join(", ")));
    let shown: String = name.chars().take(SHOWN).collect();
    Wrong { place, message: format!("{shown:?} is no type of JSON schema ({hint})") }
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

    const UPPER: &str = "items.type: \"Integer\" is no type of JSON schema (did you mean \"integer\"?)";

    #[test]
    fn a_schema_is_one_at_any_depth() {
        let nested = |schema: Value| {
            let list = json!({"type": "array", "items": {"anyOf": [{"type": "null"}, schema]}});
            json!({"properties": {"x": {"properties": {"y": list}, "required": ["y"]}}})
        };
        let place = "parameters.properties.x.properties.y.items.anyOf[1]";
        for (schema, expect) in [
            (json!({"type": 3}), "type: number, not the name of a type or a list of such names"),
            (
                json!({"type": "strng"}),
                "type: \"strng\" is no type of JSON schema (did you mean \"string\"?)",
            ),
            (
                json!({"type": ["null", "dict"]}),
                "type: \"dict\" is no type of JSON schema (known are array, boolean, integer, null, number, \
                 object, string)",
            ),
            (json!({"items": {"type": "Integer"}}), UPPER),
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
            let wrong = check(&nested(schema.clone()), "parameters", Types::Known)
                .err()
                .unwrap_or_else(|| panic!("{schema}"));
            assert_eq!(format!("{}: {}", wrong.place, wrong.message), format!("{place}.{expect}"));
        }
        for schema in [
            json!({"exclusiveMinimum": true, "minimum": 0, "required": true, "items": [{}, true]}),
            json!({"type": null, "enum": null, "items": null, "additionalProperties": false, "$defs": {}}),
            json!({"pattern": 3, "format": [], "title": {}}),
            json!(true),
        ] {
            assert!(check(&nested(schema.clone()), "parameters", Types::Known).is_ok(), "{schema}");
        }
        assert!(check(&Value::Null, "parameters", Types::Known).is_ok());
        // Recorded conversations keep what they were shown.
        assert!(check(&nested(json!({"type": "dict"})), "parameters", Types::Any).is_ok());
        assert!(check(&nested(json!({"type": 3})), "parameters", Types::Any).is_err());
    }
}
