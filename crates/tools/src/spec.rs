//! Defines tool schemas (OpenAI style), and is the only place where a call is checked against them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use turnwise_trajectory::{MalformedCall, ToolCall, ViolationKind};

use crate::schema;

/// Describes a tool as the model is told about it.
///
/// It reads both the wrapped form `{"type":"function","function":{…}}` and the bare
/// `{"name":…,"parameters":…}`, and writes the wrapped one. See [`crate::spec_file`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Written")]
pub struct ToolSpec {
    /// Name used in calls.
    pub name: String,
    /// Description of the tool for the model.
    pub description: String,
    /// JSON schema of the arguments: `{"type":"object","properties":{…},"required":[…]}`.
    pub parameters: Value,
}

impl ToolSpec {
    /// Returns a tool with this schema of arguments.
    pub fn new(name: impl Into<String>, description: impl Into<String>, parameters: Value) -> Self {
        Self { name: name.into(), description: description.into(), parameters }
    }

    /// Returns the Python tool: one string argument `code`.
    pub fn python() -> Self {
        Self::new(
            "python",
            "Runs Python code and returns what it prints, and the value of its last expression.",
            json!({
                "type": "object",
                "properties": {"code": {"type": "string", "description": "Python source code."}},
                "required": ["code"],
            }),
        )
    }

    fn property(&self, argument: &str) -> Option<&Value> {
        self.parameters.get("properties")?.get(argument)
    }

    fn required(&self) -> impl Iterator<Item = &str> {
        self.parameters
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    }
}

/// The wrapped form.
#[derive(Serialize, Clone)]
struct Written {
    #[serde(rename = "type")]
    kind: &'static str,
    function: Bare,
}

#[derive(Serialize, Clone)]
struct Bare {
    name: String,
    description: String,
    parameters: Value,
}

impl From<ToolSpec> for Written {
    fn from(spec: ToolSpec) -> Self {
        let ToolSpec { name, description, parameters } = spec;
        Self { kind: "function", function: Bare { name, description, parameters } }
    }
}

/// Checks parsed calls against the tools on offer. Malformed calls pass through unchanged.
pub fn check_calls(
    calls: Vec<Result<ToolCall, MalformedCall>>,
    tools: &[ToolSpec],
) -> Vec<Result<ToolCall, MalformedCall>> {
    calls.into_iter().map(|call| call.and_then(|call| check_call(call, tools))).collect()
}

/// Checks one call: the tool exists, its required arguments are present, and every argument meets its schema.
///
/// Values inside objects and lists are checked too. Arguments that the schema doesn't name are accepted, as
/// in the public stacks.
pub fn check_call(call: ToolCall, tools: &[ToolSpec]) -> Result<ToolCall, MalformedCall> {
    let Some(spec) = tools.iter().find(|tool| tool.name == call.name) else {
        let offered: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
        let offered = if offered.is_empty() { "none".to_string() } else { offered.join(", ") };
        let message = format!("unknown tool {:?}; offered: {offered}", call.name);
        return Err(MalformedCall { kind: ViolationKind::UnknownTool, message, span: call.span });
    };
    match check_arguments(&call.arguments, spec) {
        Ok(()) => Ok(call),
        Err((kind, message)) => Err(MalformedCall { kind, message, span: call.span }),
    }
}

fn check_arguments(arguments: &Map<String, Value>, spec: &ToolSpec) -> Result<(), (ViolationKind, String)> {
    if let Some(missing) = spec.required().find(|name| !arguments.contains_key(*name)) {
        let message = format!("{}: missing argument {missing:?}", spec.name);
        return Err((ViolationKind::MissingArgument, message));
    }
    for (name, value) in arguments {
        let Some(schema) = spec.property(name) else { continue };
        if let Some(mismatch) = schema::mismatch(value, schema, &spec.parameters) {
            let message = format!("{}: {}", spec.name, mismatch.of_argument(name));
            return Err((ViolationKind::WrongType, message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: Value, expect: Result<(), ViolationKind>) {
        let spec = ToolSpec::new(
            "search",
            "",
            json!({
                "type": "object",
                "properties": {
                    "query": {"type": "string"},
                    "limit": {"type": "integer"},
                    "sort": {"enum": ["up", "down"]},
                    "filter": {"type": ["object", "null"]},
                    "page": {"type": "integer", "minimum": 1},
                    "fields": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["query"],
            }),
        );
        let Value::Object(arguments) = arguments else { unreachable!("the table holds objects") };
        let call = ToolCall { name: "search".into(), arguments, span: 0..1 };
        assert_eq!(check_call(call.clone(), &[spec]).map(|_| ()).map_err(|e| e.kind), expect, "{call:?}");
    }

    #[test]
    fn arguments_are_checked_against_the_schema() {
        use ViolationKind::{MissingArgument, WrongType};
        check(json!({"query": "x"}), Ok(()));
        check(json!({"query": "x", "limit": 3, "sort": "up", "filter": null}), Ok(()));
        check(json!({"query": "x", "limit": 3.0}), Ok(()));
        check(json!({"query": "x", "other": 1}), Ok(()));
        check(json!({}), Err(MissingArgument));
        check(json!({"limit": 3}), Err(MissingArgument));
        check(json!({"query": 1}), Err(WrongType));
        check(json!({"query": null}), Err(WrongType));
        check(json!({"query": "x", "limit": 2.5}), Err(WrongType));
        check(json!({"query": "x", "limit": "3"}), Err(WrongType));
        check(json!({"query": "x", "sort": "left"}), Err(WrongType));
        check(json!({"query": "x", "filter": []}), Err(WrongType));
        check(json!({"query": "x", "page": 1, "fields": ["a"]}), Ok(()));
        check(json!({"query": "x", "page": 0}), Err(WrongType));
        check(json!({"query": "x", "fields": ["a", 1]}), Err(WrongType));
    }

    #[test]
    fn an_unknown_tool_is_named_with_what_is_offered() {
        let call = ToolCall { name: "pyhton".into(), arguments: Map::new(), span: 4..9 };
        let error = check_call(call, &[ToolSpec::python()]).unwrap_err();
        assert_eq!(error.kind, ViolationKind::UnknownTool);
        assert_eq!(error.span, 4..9);
        assert_eq!(error.message, "unknown tool \"pyhton\"; offered: python");
        let call = ToolCall { name: "python".into(), arguments: Map::new(), span: 0..1 };
        assert_eq!(check_call(call, &[]).unwrap_err().message, "unknown tool \"python\"; offered: none");
    }

    #[test]
    fn both_published_forms_are_read_and_the_wrapped_one_is_written() {
        let wrapped =
            json!({"type": "function", "function": {"name": "f", "description": "d", "parameters": {}}});
        let bare = json!({"name": "f", "description": "d", "parameters": {}});
        let spec: ToolSpec = serde_json::from_value(bare).unwrap();
        assert_eq!(serde_json::from_value::<ToolSpec>(wrapped.clone()).unwrap(), spec);
        assert_eq!(serde_json::to_value(&spec).unwrap(), wrapped);
    }
}
