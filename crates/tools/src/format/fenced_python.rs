//! Markdown blocks: ```` ```python ```` … ```` ``` ````, read as a call of the tool `python`.

use serde_json::{Map, Value};
use turnwise_trajectory::{MalformedCall, ToolCall, ViolationKind};

use super::CallFormat;
use crate::spec::ToolSpec;

const OPEN: &str = "```python\n";
const FENCE: &str = "```";

/// A fenced block is a call of `python` with its text as `code`. The closing fence stands at the start of a line,
/// so that a fence inside a string on one line of code doesn't end the block.
#[derive(Debug, Clone, Copy, Default)]
pub struct FencedPython;

impl CallFormat for FencedPython {
    fn name(&self) -> &'static str {
        "fenced_python"
    }

    fn describe(&self, _tools: &[ToolSpec]) -> String {
        "To run Python code, write it in a block:\n```python\nprint(1 + 1)\n```\n\
         What it prints is shown to you in a block:\n```output\n2\n```"
            .into()
    }

    fn parse(&self, completion: &str) -> Vec<Result<ToolCall, MalformedCall>> {
        let mut calls = Vec::new();
        let mut at = 0;
        while let Some(found) = completion[at..].find(OPEN) {
            let start = at + found;
            let body = start + OPEN.len();
            // The newline that ends the opening line may be the one before the closing fence.
            let Some(close) = completion[body - 1..].find("\n```") else {
                let message = "the block is never closed with ```".into();
                let span = start..completion.len();
                calls.push(Err(MalformedCall { kind: ViolationKind::Unterminated, message, span }));
                break;
            };
            at = body + close + FENCE.len();
            let code = &completion[body..body + close];
            calls.push(if code.trim().is_empty() {
                let message = "the block is empty".into();
                Err(MalformedCall { kind: ViolationKind::Empty, message, span: start..at })
            } else {
                Ok(python(code.strip_suffix('\n').unwrap_or(code), start..at))
            });
        }
        calls
    }

    fn render(&self, call: &ToolCall) -> String {
        let code = call.arguments.get("code").and_then(Value::as_str).unwrap_or_default();
        format!("{OPEN}{code}\n{FENCE}")
    }

    fn render_output(&self, output: &str) -> String {
        format!("```output\n{output}\n```")
    }

    fn stop_strings(&self) -> &[&str] {
        &["```output"]
    }
}

fn python(code: &str, span: std::ops::Range<usize>) -> ToolCall {
    let arguments = Map::from_iter([("code".to_string(), Value::from(code))]);
    ToolCall { name: "python".into(), arguments, span }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ViolationKind::{Empty, Unterminated};

    fn check(text: &str, expect: &[Result<&str, ViolationKind>]) {
        let calls = FencedPython.parse(text);
        let found: Vec<_> = calls
            .iter()
            .map(|c| c.as_ref().map(|c| c.arguments["code"].as_str().unwrap()).map_err(|e| e.kind))
            .collect();
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn completions_parse() {
        check("no call", &[]);
        check("```python\nx = 1\n```", &[Ok("x = 1")]);
        check("a\n```python\nx = '```'\ny\n```\nb", &[Ok("x = '```'\ny")]);
        check("```python\n```", &[Err(Empty)]);
        check("```python\nx", &[Err(Unterminated)]);
        check("```text\nx\n```", &[]);
    }
}
