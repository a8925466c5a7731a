//! Refuses tools that the call format can't write: the model could call none of them.

use serde_json::{Map, Value, json};
use turnwise_tools::{CallFormat, ToolSpec};
use turnwise_trajectory::ToolCall;

use crate::refusal::Refusal;

/// Checks that a call of each tool, with its required arguments or with all, can be written and read again.
pub(super) fn check(format: &dyn CallFormat, tools: &[ToolSpec]) -> Result<(), Refusal> {
    let unwritten = tools.iter().enumerate().find(|(_, tool)| !is_written(format, tool));
    unwritten.map_or(Ok(()), |(at, tool)| {
        let short: String = tool.name.chars().take(64).collect();
        let hint =
            format!("the format {} can't write a call of {short:?}; --format names another", format.name());
        Err(Refusal::unsupported(format!("tools[{at}]"), &hint))
    })
}

fn is_written(format: &dyn CallFormat, tool: &ToolSpec) -> bool {
    let required = tool.parameters["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let required = required.iter().filter_map(Value::as_str).collect();
    let all = tool.parameters["properties"].as_object();
    let all = all.map(|all| all.keys().map(String::as_str).collect()).unwrap_or_default();
    [required, all].iter().any(|names: &Vec<&str>| is_read_again(format, tool, names))
}

/// Returns whether a call with these arguments is read as it was written.
fn is_read_again(format: &dyn CallFormat, tool: &ToolSpec, names: &[&str]) -> bool {
    let value = |name: &str| example(&tool.parameters["properties"][name]["type"]);
    let arguments: Map<String, Value> = names.iter().map(|name| (name.to_string(), value(name))).collect();
    let call = ToolCall { name: tool.name.clone(), arguments, span: 0..0 };
    let read = format.parse(&format.render(&call));
    let same = |read: &ToolCall| {
        let all = read.arguments.keys().all(|name| call.arguments.contains_key(name));
        read.name == call.name && all && read.arguments.len() == call.arguments.len()
    };
    matches!(&read[..], [Ok(read)] if same(read))
}

/// Returns a value of a type.
fn example(of: &Value) -> Value {
    match of.as_str() {
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!("a"),
    }
}

#[cfg(test)]
mod tests {
    use turnwise_tools::FormatName;

    use super::*;

    fn tool(name: &str, required: &[(&str, &str)]) -> ToolSpec {
        let properties: Map<String, Value> =
            required.iter().map(|(name, of)| (name.to_string(), json!({"type": of}))).collect();
        let names: Vec<&str> = required.iter().map(|(name, _)| *name).collect();
        ToolSpec::new(name, "", json!({"type": "object", "properties": properties, "required": names}))
    }

    #[test]
    fn fences_of_python_call_python_alone() {
        let check = |format: FormatName, tool: ToolSpec, fine: bool| {
            let tools = [ToolSpec::python(), tool];
            let refused = check(&*format.build(), &tools).err();
            assert_eq!(refused.is_none(), fine, "{refused:?}");
            assert!(refused.is_none_or(|refused| refused.place.as_deref() == Some("tools[1]")));
        };
        check(FormatName::FencedPython, tool("search", &[("query", "string")]), false);
        check(FormatName::FencedPython, tool("python", &[("source", "string")]), false);
        check(FormatName::FencedPython, tool("python", &[("code", "string")]), true);
        let mut optional = ToolSpec::python();
        optional.parameters["required"] = json!([]);
        check(FormatName::FencedPython, optional, true);
        check(FormatName::Hermes, tool("search", &[("query", "string")]), true);
    }

    #[test]
    fn every_format_with_names_writes_tools_of_every_type() {
        let types = ["string", "integer", "number", "boolean", "array", "object"];
        let all = tool("look_up", &types.map(|of| (of, of)));
        for name in FormatName::ALL {
            let format = name.build();
            if !format.name().starts_with("fenced_python") {
                let refused = check(&*format, &[all.clone(), tool("now", &[])]).err();
                assert_eq!(refused, None, "{}", format.name());
            }
        }
    }
}
