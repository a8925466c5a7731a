//! Hermes and Qwen2.5/Qwen3: `<tool_call>\n{"name": …, "arguments": {…}}\n</tool_call>`.

use serde_json::json;
use turnwise_trajectory::{MalformedCall, ToolCall, ViolationKind};

use super::CallFormat;
use super::json::{read_call, spaced};
use crate::spec::ToolSpec;

const OPEN: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";

/// The format of the Hermes and Qwen families. Newlines inside the tags are optional when read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hermes;

impl CallFormat for Hermes {
    fn name(&self) -> &'static str {
        "hermes"
    }

    fn describe(&self, tools: &[ToolSpec]) -> String {
        // Word for word the text of Qwen2.5's and Qwen3's chat template.
        let mut text = String::from(
            "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n\
             You are provided with function signatures within <tools></tools> XML tags:\n<tools>",
        );
        for tool in tools {
            text.push('\n');
            text.push_str(&spaced(tool));
        }
        text.push_str(
            "\n</tools>\n\nFor each function call, return a json object with function name and arguments within \
             <tool_call></tool_call> XML tags:\n<tool_call>\n\
             {\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>",
        );
        text
    }

    fn parse(&self, completion: &str) -> Vec<Result<ToolCall, MalformedCall>> {
        let mut calls = Vec::new();
        let mut at = 0;
        while let Some(found) = completion[at..].find(OPEN) {
            let start = at + found;
            let body = start + OPEN.len();
            let Some(close) = completion[body..].find(CLOSE) else {
                let message = format!("the call is never closed with {CLOSE}");
                let span = start..completion.len();
                calls.push(Err(MalformedCall { kind: ViolationKind::Unterminated, message, span }));
                break;
            };
            at = body + close + CLOSE.len();
            calls.push(read_call(&completion[body..body + close], start..at));
        }
        calls
    }

    fn render(&self, call: &ToolCall) -> String {
        format!("{OPEN}\n{}\n{CLOSE}", spaced(&json!({"name": call.name, "arguments": call.arguments})))
    }

    fn render_output(&self, output: &str) -> String {
        format!("<tool_response>\n{output}\n</tool_response>")
    }

    fn stop_strings(&self) -> &[&str] {
        &["<tool_response>"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ViolationKind::{Empty, InvalidJson, Unterminated};

    fn check(text: &str, expect: &[Result<&str, ViolationKind>]) {
        let calls = Hermes.parse(text);
        let found: Vec<_> =
            calls.iter().map(|c| c.as_ref().map(|c| c.name.as_str()).map_err(|e| e.kind)).collect();
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn completions_parse() {
        check("no call", &[]);
        check("<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>", &[Ok("f")]);
        check("<tool_call>{\"name\":\"f\",\"arguments\":{\"x\":1}}</tool_call>", &[Ok("f")]);
        check("<tool_call></tool_call>", &[Err(Empty)]);
        check("<tool_call>{\"name\":\"f\"</tool_call>", &[Err(InvalidJson)]);
        check("<tool_call>[1]</tool_call>", &[Err(InvalidJson)]);
        check("<tool_call>{\"name\":\"f\",\"arguments\":\"x\"}</tool_call>", &[Err(InvalidJson)]);
        check(
            "a <tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call> b <tool_call>",
            &[Ok("f"), Err(Unterminated)],
        );
    }

    #[test]
    fn a_rendered_call_parses_to_itself() {
        let arguments = json!({"code": "print('</b>', \"é\\n\")\nx = {1: 2}", "n": [1, null]});
        let arguments = arguments.as_object().unwrap().clone();
        let mut call = ToolCall { name: "python".into(), arguments, span: 0..0 };
        let text = Hermes.render(&call);
        call.span = 0..text.len();
        assert_eq!(Hermes.parse(&text), [Ok(call)]);
    }

    #[test]
    fn the_prompt_is_that_of_the_qwen_template() {
        let tool = ToolSpec::new("f", "d", json!({"type": "object", "properties": {}}));
        let text = Hermes.describe(&[tool]);
        assert!(text.contains(
            "<tools>\n{\"type\": \"function\", \"function\": {\"name\": \"f\", \"description\": \"d\", \
             \"parameters\": {\"type\": \"object\", \"properties\": {}}}}\n</tools>"
        ));
        assert!(
            text.ends_with("{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>")
        );
    }
}
