//! Problems of GSM8K as conversations (arXiv:2110.14168).
//!
//! A solution of GSM8K holds annotations: `48/2 = <<48/2=24>>24 clips`. Its authors wrote them for a
//! calculator, so each is a call: the turn ends where the annotation stands, a program prints the
//! expression, and its output is that of the sandbox. The last turn has no call and ends with the answer as
//! `env.qa` reads it.

use serde_json::{Map, Value as Json, json};
use turnwise_envs::QaConfig;
use turnwise_tools::ToolSpec;

use crate::left_out::{LeftOut, Reason};
use crate::python_number::Number;
use crate::row::{Row, said};

const MARK: &str = "####";

/// How far an annotation's result may lie from its expression's, as a part of it: results are rounded.
const ROUNDED: f64 = 0.01;

/// Returns question and answer if the row is a problem of GSM8K.
pub(crate) fn problem(keys: &Map<String, Json>) -> Option<(&str, &str)> {
    let (question, answer) = (keys.get("question")?.as_str()?, keys.get("answer")?.as_str()?);
    answer.contains(MARK).then_some((question, answer))
}

/// Makes the conversation of a problem. `system` of the row is the system message; without it, the
/// instruction that `env.qa` has by default.
pub(crate) fn read(keys: &Map<String, Json>, question: &str, answer: &str) -> Result<Row, LeftOut> {
    let (solution, last) = answer.rsplit_once(MARK).unwrap_or((answer, ""));
    let system = match said(keys, "system") {
        Some(system) => system.as_str().unwrap_or_default().to_string(),
        None => QaConfig::default_instruction(),
    };
    let mut messages = Vec::new();
    if !system.is_empty() {
        messages.push(json!({"role": "system", "content": system}));
    }
    messages.push(json!({"role": "user", "content": question}));
    let mut rest = solution;
    let mut calls = 0;
    while let Some((text, annotation, behind)) = annotated(rest) {
        let (expression, output) = call(annotation)?;
        let id = format!("call{:05}", calls % 100_000);
        let arguments = json!({"code": format!("print({expression})")});
        messages.push(json!({
            "role": "assistant",
            "content": text.trim(),
            "tool_calls": [{"type": "function", "id": id, "function": {"name": "python", "arguments": arguments}}],
        }));
        messages.push(json!({"role": "tool", "name": "python", "tool_call_id": id, "content": output}));
        (rest, calls) = (behind, calls + 1);
    }
    let said = format!("{}\nAnswer: {}", rest.trim(), last.trim());
    messages.push(json!({"role": "assistant", "content": said.trim_start()}));
    Ok(Row { messages, tools: vec![json!(ToolSpec::python())], ..Row::default() })
}

/// Returns the text before the first annotation, the annotation, and the text after it.
fn annotated(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("<<")?;
    let (annotation, behind) = rest.split_once(">>")?;
    Some((before, annotation, behind))
}

/// Returns the expression of an annotation and what a program prints for it.
fn call(annotation: &str) -> Result<(&str, String), LeftOut> {
    let wrong = |what: &str| LeftOut::new(Reason::MalformedCall, format!("<<{annotation}>> {what}"));
    let (expression, result) = annotation.rsplit_once('=').ok_or_else(|| wrong("has no result"))?;
    let number = Number::of(expression).ok_or_else(|| wrong("isn't arithmetic"))?;
    let stated = Number::of(result).ok_or_else(|| wrong("has no number as its result"))?;
    let (value, stated) = (number.value(), stated.value());
    if (value - stated).abs() > ROUNDED * stated.abs().max(1.0) {
        return Err(wrong(&format!("is {value}")));
    }
    Ok((expression.trim(), number.printed().ok_or_else(|| wrong("is too small or too large"))?))
}
