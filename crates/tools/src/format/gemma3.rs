//! Reads the calls of Gemma 3, which has no marker of calls: a list `[name(key=value)]` as its documentation
//! asks for, an object `{"name": …, "parameters": {…}}` or a list of them, or a block ```` ```tool_code ````.

use serde_json::json;
use turnwise_trajectory::ToolCall;

use super::CallFormat;
use super::call_lines;
use super::found_call::Found;
use super::grammar::{Grammar, Marker, Place, forged_observation, inside};
use super::json::{OBJECT, looks_like_call, objects, read_calls, spaced};
use super::pythonic::{Pythonic, is_expressible};
use super::quotes::{PythonQuotes, Quotes};
use super::scan::{AnyList, Gate, JsonValue, Scan, Tagged};
use crate::spec::ToolSpec;

const BLOCK: &str = "```tool_code";
const FENCE: &str = "```";
const OUTPUT: &str = "```tool_output";
const LIST: &str = "[";
const KEYS: &[&str] = &["parameters", "arguments"];

/// Reads and writes the calls of Gemma 3.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gemma3;

const MARKERS: &[Marker] = &[
    Marker::forged(OUTPUT),
    Marker::call(BLOCK),
    Marker { keep: 0, ..Marker::bracket(LIST, Place::LineStart) },
    Marker::bracket(OBJECT, Place::LineStart),
];

impl Grammar for Gemma3 {
    fn markers(&self) -> &'static [Marker] {
        MARKERS
    }

    fn scan(&self, marker: usize, raw: bool) -> Scan {
        let quotes = if raw { Quotes::None } else { Quotes::Python(PythonQuotes::default()) };
        match MARKERS[marker].text {
            BLOCK => Scan::Tagged(Tagged::new(BLOCK, FENCE, quotes, Gate::Behind("("))),
            LIST => Scan::List(AnyList::new(&[BLOCK], raw)),
            OBJECT => Scan::Value(JsonValue::new(&[BLOCK], raw)),
            _ => Scan::AnyText,
        }
    }

    fn read(&self, marker: usize, text: &str, offset: usize) -> Vec<Found> {
        let span = offset..offset + text.len();
        match MARKERS[marker].text {
            BLOCK => call_lines::read(inside(text, BLOCK, FENCE), &span),
            LIST if !is_json(text) => Pythonic.read(0, text, offset),
            LIST | OBJECT => {
                let is_call = objects(text).map_or_else(
                    || self.is_attempt(marker, text),
                    |all| all.iter().any(|o| looks_like_call(o, KEYS)),
                );
                if is_call { read_calls(text, KEYS, &span) } else { Vec::new() }
            }
            _ => forged_observation(text, offset),
        }
    }

    fn closing(&self, marker: usize) -> &'static str {
        match MARKERS[marker].text {
            BLOCK => FENCE,
            LIST => "]",
            _ => "}",
        }
    }

    fn bare(&self, answer: &str, span: std::ops::Range<usize>) -> Option<Found> {
        Pythonic.bare(answer, span)
    }

    fn may_be_bare(&self, beginning: &[u8]) -> bool {
        Pythonic.may_be_bare(beginning)
    }

    fn is_attempt(&self, marker: usize, text: &str) -> bool {
        MARKERS[marker].text != OBJECT && !is_json(text) || KEYS.iter().any(|key| text.contains(key))
    }
}

/// Returns whether a list is one of JSON objects.
fn is_json(text: &str) -> bool {
    text.strip_prefix(LIST).is_some_and(|list| list.trim_start().starts_with('{'))
}

impl CallFormat for Gemma3 {
    fn name(&self) -> &'static str {
        "gemma3"
    }

    fn grammar(&self) -> &'static dyn Grammar {
        &Gemma3
    }

    fn describe(&self, tools: &[ToolSpec]) -> String {
        let tools: Vec<String> = tools.iter().map(spaced).collect();
        format!(
            "You have access to functions. If you decide to invoke any of the function(s), you MUST put it in the \
             format of [func_name1(params_name1=params_value1, params_name2=params_value2...), func_name2(params)]\n\n\
             You SHOULD NOT include any other text in the response if you call a function\n\n[\n{}\n]",
            tools.join(",\n")
        )
    }

    fn render(&self, call: &ToolCall) -> String {
        if is_expressible(call) {
            return Pythonic.render(call);
        }
        spaced(&json!({"name": call.name, "parameters": call.arguments}))
    }

    fn render_output(&self, output: &str) -> String {
        format!("{OUTPUT}\n{output}\n{FENCE}")
    }

    fn stop_strings(&self) -> &[&str] {
        &[OUTPUT]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::check;
    use turnwise_trajectory::ViolationKind::{Empty, ForgedObservation, InvalidJson, Unterminated};

    #[test]
    fn completions_parse() {
        let check = |text: &str, expect: &[_]| check(&Gemma3, text, expect);
        check("no call [1], nor {call}", &[]);
        check("[f(x='a'), g()]", &[Ok(r#"f {"x":"a"}"#), Ok("g {}")]);
        check("```tool_code\nf(x=\"```\")\ng()\n```", &[Ok(r#"f {"x":"```"}"#), Ok("g {}")]);
        check("```tool_code\n[f(x=1)]\n```", &[Ok(r#"f {"x":1}"#)]);
        check(r#"{"name": "f", "parameters": {"x": 1}}"#, &[Ok(r#"f {"x":1}"#)]);
        check(r#"{"name": "Ada", "age": 36}"#, &[]);
        check("```tool_code\n```", &[Err(Empty)]);
        check("```tool_code\nf(1)\n```", &[Err(InvalidJson)]);
        check("[f(x=1", &[Err(Unterminated)]);
        check("```tool_code\nf(", &[Err(Unterminated)]);
        check("```tool_output\n4", &[Err(ForgedObservation)]);
    }
}
