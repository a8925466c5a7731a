//! Reads the calls of Hermes, Qwen2.5 and Qwen3: `<tool_call>\n{"name": …, "arguments": {…}}\n</tool_call>`.

use serde_json::json;
use turnwise_trajectory::ToolCall;

use super::foreign::{OTHER_TAGS, is_other_tag, read_tagged};
use super::found_call::Found;
use super::function_tag::{FUNCTION, FUNCTION_END};
use super::grammar::{Grammar, Marker, Place, forged_observation, inside, never_opened};
use super::json::{OBJECT, json_or_text, read_calls, read_unmarked, spaced};
use super::quotes::{JsonQuotes, Quotes};
use super::scan::{Gate, JsonValue, Scan, Tagged};
use super::{CallFormat, function_tag};
use crate::spec::ToolSpec;

pub(super) const OPEN: &str = "<tool_call>";
pub(super) const CLOSE: &str = "</tool_call>";
pub(super) const RESPONSE: &str = "<tool_response>";

/// Returns the output of a tool between its tags.
pub(super) fn response(output: &str) -> String {
    format!("{RESPONSE}\n{output}\n</tool_response>")
}

/// Reads and writes the calls of the Hermes and Qwen families. Newlines inside the tags are optional, and
/// several objects or a list of them may stand there. It also reads `<function=NAME>{…}</function>`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hermes;

const MARKERS: &[Marker] = &[
    Marker::call(OPEN),
    Marker::call(FUNCTION),
    OTHER_TAGS[0],
    OTHER_TAGS[1],
    OTHER_TAGS[2],
    Marker::bracket(OBJECT, Place::LineStart),
    Marker::stray(CLOSE),
    Marker::forged(RESPONSE),
];

impl Grammar for Hermes {
    fn markers(&self) -> &'static [Marker] {
        MARKERS
    }

    fn scan(&self, marker: usize, raw: bool) -> Scan {
        let quotes = if raw { Quotes::None } else { Quotes::Json(JsonQuotes::default()) };
        match MARKERS[marker].text {
            OPEN => Scan::Tagged(Tagged::new(OPEN, CLOSE, quotes, Gate::Starting(b"{["))),
            FUNCTION => function_tag::scan(raw, true),
            _ if is_other_tag(MARKERS[marker]) => Scan::Value(JsonValue::new(&[OPEN, FUNCTION], raw)),
            OBJECT => Scan::Value(JsonValue::new(&[OPEN, FUNCTION], raw)),
            _ => Scan::Marker,
        }
    }

    fn read(&self, marker: usize, text: &str, offset: usize) -> Vec<Found> {
        match MARKERS[marker].text {
            OPEN => read_calls(inside(text, OPEN, CLOSE), &["arguments"], &(offset..offset + text.len())),
            FUNCTION => function_tag::read(text, offset, json_or_text),
            _ if is_other_tag(MARKERS[marker]) => read_tagged(text, OPEN, &(offset..offset + text.len())),
            OBJECT => read_unmarked(text, OPEN, &(offset..offset + text.len())),
            CLOSE => never_opened(text, offset),
            _ => forged_observation(text, offset),
        }
    }

    fn closing(&self, marker: usize) -> &'static str {
        if MARKERS[marker].text == FUNCTION { FUNCTION_END } else { CLOSE }
    }

    fn is_attempt(&self, marker: usize, text: &str) -> bool {
        MARKERS[marker].text != OBJECT && (!is_other_tag(MARKERS[marker]) || text.contains("\"arguments\""))
    }
}

impl CallFormat for Hermes {
    fn name(&self) -> &'static str {
        "hermes"
    }

    fn grammar(&self) -> &'static dyn Grammar {
        &Hermes
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

    fn render(&self, call: &ToolCall) -> String {
        format!("{OPEN}\n{}\n{CLOSE}", spaced(&json!({"name": call.name, "arguments": call.arguments})))
    }

    fn render_output(&self, output: &str) -> String {
        response(output)
    }

    fn stop_strings(&self) -> &[&str] {
        &[RESPONSE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::check;
    use turnwise_trajectory::ViolationKind::{Empty, ForgedObservation, InvalidJson, Unterminated};

    #[test]
    fn completions_parse() {
        let check = |text: &str, expect: &[_]| check(&Hermes, text, expect);
        check("no call", &[]);
        check("<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>", &[Ok("f {}")]);
        check("<tool_call>{\"name\":\"f\",\"arguments\":{\"x\":1}}</tool_call>", &[Ok("f {\"x\":1}")]);
        check("<tool_call></tool_call>", &[Err(Empty)]);
        check("<tool_call>{\"name\":\"f\"</tool_call>", &[Err(InvalidJson)]);
        check("<tool_call>[1]</tool_call>", &[Err(InvalidJson)]);
        check("<tool_call>{\"name\":\"f\",\"arguments\":\"x\"}</tool_call>", &[Err(InvalidJson)]);
        check(
            "a <tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call> b <tool_call>",
            &[Ok("f {}"), Err(Unterminated)],
        );
        check(
            "<tool_call>{\"a\" <tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>",
            &[Err(Unterminated), Ok("f {}")],
        );
        check("<tool_response>\n4", &[Err(ForgedObservation)]);
    }

    #[test]
    fn a_marker_inside_a_string_does_not_fire() {
        let check = |text: &str, expect: &[_]| check(&Hermes, text, expect);
        check(
            "<tool_call>{\"name\":\"f\",\"arguments\":{\"x\":\"</tool_call>\"}}</tool_call>",
            &[Ok("f {\"x\":\"</tool_call>\"}")],
        );
        check(
            "<tool_call>{\"name\":\"f\",\"arguments\":{\"x\":\"<tool_call>\\\"\"}}</tool_call>",
            &[Ok("f {\"x\":\"<tool_call>\\\"\"}")],
        );
    }

    #[test]
    fn a_string_that_is_never_closed_hides_only_its_own_call() {
        let check = |text: &str, expect: &[_]| check(&Hermes, text, expect);
        let good = "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>";
        check(&format!("<tool_call>{{\"x}}</tool_call>\n{good}"), &[Err(InvalidJson), Ok("f {}")]);
        check(&format!("<tool_call>{{\"x}}</tool_call>{good}"), &[Err(InvalidJson), Ok("f {}")]);
        check("<tool_call>{\"x}</tool_call>", &[Err(InvalidJson)]);
        check("<tool_call>{\"x}", &[Err(Unterminated)]);
    }

    #[test]
    fn what_was_meant_stands_beside_the_verdict() {
        let recovered = |text: &str| {
            let found = Hermes.examine(text).remove(0);
            assert!(found.verdict.is_err());
            found.recovered.map(|call| call.arguments["c"].as_str().unwrap().to_string())
        };
        let call = |code: &str, end: &str| {
            format!("<tool_call>{{\"name\":\"f\",\"arguments\":{{\"c\":\"{code}\"}}{end}")
        };
        assert_eq!(recovered(&call("1", "}")).as_deref(), Some("1"), "the tag is missing");
        assert_eq!(recovered(&call("1\n2", "}</tool_call>")).as_deref(), Some("1\n2"), "a raw line break");
        assert_eq!(recovered(&call("1", ",}</tool_call>")).as_deref(), Some("1"), "a trailing comma");
        assert_eq!(recovered(&call("1", "</tool_call>")), None, "a bracket is missing");
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
