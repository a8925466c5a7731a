//! Reads files of tools, written by hand or by programs.

use serde_json::{Map, Value};

use crate::schema::{self, Types, type_name};
use crate::spec::ToolSpec;

/// Names the fault of a tool, with the keys that lead to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct SpecError {
    place: String,
    message: String,
}

impl TryFrom<Value> for ToolSpec {
    type Error = SpecError;

    fn try_from(written: Value) -> Result<Self, SpecError> {
        tool(&written, "", Types::Known)
    }
}

/// Reads the tools of a file: a list, one tool, or the body of a request with `tools`. A `null` counts as an
/// absent key.
pub fn tools(file: &Value) -> Result<Vec<ToolSpec>, SpecError> {
    read(file, Types::Known)
}

/// Reads the tools of a recorded conversation, as [`tools`] does. They may have types of any name, such as
/// `dict`, because no call of theirs is run.
pub fn recorded(file: &Value) -> Result<Vec<ToolSpec>, SpecError> {
    read(file, Types::Any)
}

fn read(file: &Value, types: Types) -> Result<Vec<ToolSpec>, SpecError> {
    let list = |tools: &[Value], place: &str| {
        let tool = |(index, value)| tool(value, &format!("{place}[{index}]"), types);
        tools.iter().enumerate().map(tool).collect()
    };
    match file {
        Value::Array(tools) => list(tools, ""),
        Value::Object(keys) => match keys.get("tools") {
            Some(Value::Array(tools)) => list(tools, "tools"),
            _ => Ok(vec![tool(file, "", types)?]),
        },
        _ => Err(wrong("", file, "a list of tools or one tool")),
    }
}

/// Reads one tool.
fn tool(value: &Value, place: &str, types: Types) -> Result<ToolSpec, SpecError> {
    let mut keys = value.as_object().ok_or_else(|| wrong(place, value, "a tool"))?;
    let mut place = place.to_string();
    if let Some(function) = said(keys, "function") {
        place = join(&place, "function");
        keys = function.as_object().ok_or_else(|| wrong(&place, function, "an object"))?;
    }
    let text = |key: &str| match said(keys, key) {
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(wrong(&join(&place, key), other, "text")),
        None => Ok(None),
    };
    let name = text("name")?.filter(|name| !name.trim().is_empty());
    let name =
        name.ok_or_else(|| error(&join(&place, "name"), "missing; hint: every tool has a name".into()))?;
    let parameters = said(keys, "parameters").cloned().unwrap_or_default();
    schema::check(&parameters, &join(&place, "parameters"), types)
        .map_err(|wrong| error(&wrong.place, wrong.message))?;
    Ok(ToolSpec { name, description: text("description")?.unwrap_or_default(), parameters })
}

/// Returns the value of a key unless it's null.
fn said<'a>(keys: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    keys.get(key).filter(|value| !value.is_null())
}

fn join(place: &str, key: &str) -> String {
    if place.is_empty() { key.into() } else { format!("{place}.{key}") }
}

fn error(place: &str, message: String) -> SpecError {
    let place = if place.is_empty() { "tools" } else { place };
    SpecError { place: place.into(), message }
}

fn wrong(place: &str, value: &Value, wanted: &str) -> SpecError {
    error(place, format!("{}, not {wanted}", type_name(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_says_nothing_is_as_if_not_there() {
        let read = |file: Value| tools(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let bare = ToolSpec::new("f", "", Value::Null);
        for file in [
            json!({"name": "f"}),
            json!([{"name": "f", "description": null, "parameters": null, "strict": true}]),
            json!([{"type": "function", "function": {"name": "f", "description": null}}]),
            json!({"function": {"name": "f"}}),
            json!({"function": null, "name": "f"}),
            json!({"model": "m", "tools": [{"name": "f"}]}),
        ] {
            assert_eq!(read(file), std::slice::from_ref(&bare));
        }
        let schema = json!({"type": null, "properties": {"x": {"enum": null}, "y": null}, "required": null});
        assert_eq!(read(json!({"name": "f", "parameters": schema}))[0].parameters, schema);
        assert_eq!(read(json!([])), []);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let check =
            |file: Value, expect: &str| assert_eq!(tools(&file).unwrap_err().to_string(), expect, "{file}");
        check(json!(3), "tools: number, not a list of tools or one tool");
        check(json!(["f"]), "[0]: string, not a tool");
        check(json!({"name": ""}), "name: missing; hint: every tool has a name");
        check(json!([{"name": "f"}, {"name": null}]), "[1].name: missing; hint: every tool has a name");
        check(
            json!({"tools": [{"function": {}}]}),
            "tools[0].function.name: missing; hint: every tool has a name",
        );
        check(json!([{"function": "f"}]), "[0].function: string, not an object");
        check(json!({"name": "f", "description": 3}), "description: number, not text");
        check(json!({"name": "f", "parameters": []}), "parameters: array, not a JSON schema (an object)");
        let schema = |schema: Value, expect: &str| check(json!({"name": "f", "parameters": schema}), expect);
        schema(json!({"required": "x"}), "parameters.required: string, not a list of names");
        schema(json!({"required": [1]}), "parameters.required: number, not a name");
        schema(json!({"properties": ["x"]}), "parameters.properties: array, not an object");
        schema(
            json!({"properties": {"x": "text"}}),
            "parameters.properties.x: string, not a JSON schema (an object)",
        );
        let typed = "parameters.properties.x.type: number, not the name of a type or a list of such names";
        schema(json!({"properties": {"x": {"type": 3}}}), typed);
        let dict = json!({"name": "f", "parameters": {"type": "dict"}});
        check(
            dict.clone(),
            "parameters.type: \"dict\" is no type of JSON schema (known are array, boolean, integer, null, \
             number, object, string)",
        );
        assert_eq!(recorded(&json!([dict])).unwrap()[0].name, "f");
        schema(
            json!({"properties": {"x": {"enum": "a"}}}),
            "parameters.properties.x.enum: string, not a list",
        );
        schema(
            json!({"properties": {"x": {"anyOf": {}}}}),
            "parameters.properties.x.anyOf: object, not a list",
        );
        schema(
            json!({"properties": {"x": {"items": {"required": "a"}}}}),
            "parameters.properties.x.items.required: string, not a list of names",
        );
    }
}
