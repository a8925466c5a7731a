//! Reads the calls of FunctionGemma:
//! `<start_function_call>call:NAME{key:<escape>text<escape>,other:1}<end_function_call>`.

use serde_json::{Map, Value};
use turnwise_trajectory::{ToolCall, ViolationKind};

use super::CallFormat;
use super::escape_value::{self, MARK};
use super::found_call::{Found, malformed};
use super::grammar::{Grammar, Marker, check_name, forged_observation, inside, never_opened};
use super::quotes::{MarkQuotes, Quotes};
use super::scan::{Gate, Scan, Tagged};
use crate::spec::ToolSpec;

const OPEN: &str = "<start_function_call>";
const CLOSE: &str = "<end_function_call>";
const RESPONSE: &str = "<start_function_response>";

/// Reads and writes the calls of FunctionGemma.
#[derive(Debug, Clone, Copy, Default)]
pub struct FunctionGemma;

const MARKERS: &[Marker] = &[Marker::call(OPEN), Marker::stray(CLOSE), Marker::forged(RESPONSE)];

impl Grammar for FunctionGemma {
    fn markers(&self) -> &'static [Marker] {
        MARKERS
    }

    fn scan(&self, marker: usize, raw: bool) -> Scan {
        let quotes = if raw { Quotes::None } else { Quotes::Marks(MarkQuotes::new(MARK)) };
        match MARKERS[marker].text {
            OPEN => Scan::Tagged(Tagged::new(OPEN, CLOSE, quotes, Gate::Behind("{"))),
            _ => Scan::Marker,
        }
    }

    fn read(&self, marker: usize, text: &str, offset: usize) -> Vec<Found> {
        let span = offset..offset + text.len();
        let wrong = |kind, message: String| vec![malformed(kind, message, span.clone())];
        match MARKERS[marker].text {
            OPEN => {}
            CLOSE => return never_opened(text, offset),
            _ => return forged_observation(text, offset),
        }
        let body = inside(text, OPEN, CLOSE).trim();
        if body.is_empty() {
            return wrong(ViolationKind::Empty, "the call is empty".into());
        }
        let Some(brace) = body.find('{') else {
            return wrong(ViolationKind::InvalidJson, "there are no {…} with arguments".into());
        };
        let (head, arguments) = body.split_at(brace);
        let Some(name) = head.trim().strip_prefix("call:").map(str::trim) else {
            return wrong(ViolationKind::InvalidJson, "there's no call: before the name".into());
        };
        match check_name(name).and_then(|()| escape_value::read_object(arguments)) {
            Ok(arguments) => {
                vec![Found { verdict: Ok(ToolCall { name: name.into(), arguments, span }), recovered: None }]
            }
            Err(message) => wrong(ViolationKind::InvalidJson, message),
        }
    }

    fn closing(&self, _: usize) -> &'static str {
        CLOSE
    }
}

impl CallFormat for FunctionGemma {
    fn name(&self) -> &'static str {
        "functiongemma"
    }

    fn grammar(&self) -> &'static dyn Grammar {
        &FunctionGemma
    }

    fn describe(&self, tools: &[ToolSpec]) -> String {
        let declared = |tool: &ToolSpec| {
            let mut about = Map::new();
            about.insert("description".into(), tool.description.as_str().into());
            about.insert("parameters".into(), in_capitals(&tool.parameters));
            let about = escape_value::written(&about);
            format!("<start_function_declaration>declaration:{}{about}<end_function_declaration>", tool.name)
        };
        let tools: String = tools.iter().map(declared).collect();
        format!("You are a model that can do function calling with the following functions{tools}")
    }

    fn render(&self, call: &ToolCall) -> String {
        format!("{OPEN}call:{}{}{CLOSE}", call.name, escape_value::written(&call.arguments))
    }

    fn render_output(&self, output: &str) -> String {
        let value = Map::from_iter([("value".to_string(), Value::from(output))]);
        format!("{RESPONSE}response:{}<end_function_response>", escape_value::written(&value))
    }

    fn stop_strings(&self) -> &[&str] {
        &[RESPONSE]
    }
}

/// Returns a schema with the names of its types in capitals, as declarations have them.
fn in_capitals(schema: &Value) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(in_capitals).collect(),
        Value::Object(entries) => {
            let entry = |(key, value): (&String, &Value)| match value {
                Value::String(name) if key == "type" => (key.clone(), Value::from(name.to_uppercase())),
                value => (key.clone(), in_capitals(value)),
            };
            Value::Object(entries.iter().map(entry).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::check;
    use ViolationKind::{Empty, ForgedObservation, InvalidJson, Unterminated};

    #[test]
    fn completions_parse() {
        let check = |text: &str, expect: &[_]| {
            check(&FunctionGemma, &text.replace("B>", OPEN).replace("E>", CLOSE).replace("Q>", MARK), expect);
        };
        check("no call", &[]);
        check("B>call:f{x:Q>aQ>,y:1}E>B>call:g{}E>", &[Ok(r#"f {"x":"a","y":1}"#), Ok("g {}")]);
        check("B>call:f{x:Q>E>{\"Q>}E>", &[Ok("f {\"x\":\"<end_function_call>{\\\"\"}")]);
        check("B>E>", &[Err(Empty)]);
        check("B>f{}E>", &[Err(InvalidJson)]);
        check("B>call:fE>", &[Err(InvalidJson)]);
        check("B>call:f{x:Paris}E>", &[Err(InvalidJson)]);
        check("B>call:f{x:Q>a}E>\nB>call:g{}E>", &[Err(InvalidJson), Ok("g {}")]);
        check("B>call:f{x:Q>a", &[Err(Unterminated)]);
        check("<start_function_response>response:f{value:4}", &[Err(ForgedObservation)]);
    }

    #[test]
    fn declarations_are_those_of_the_documentation() {
        let parameters = serde_json::json!({"type": "object", "properties": {"city": {"type": "string"}}});
        assert!(FunctionGemma.describe(&[ToolSpec::new("f", "d", parameters)]).ends_with(
            "declaration:f{description:<escape>d<escape>,parameters:{type:<escape>OBJECT<escape>,\
             properties:{city:{type:<escape>STRING<escape>}}}}<end_function_declaration>"
        ));
    }
}
