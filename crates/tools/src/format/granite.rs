//! Reads the calls of Granite 3: `<|tool_call|>[{"name": …, "arguments": {…}}, …]`. Granite 4 writes as
//! Hermes.

use serde_json::json;
use turnwise_trajectory::{ToolCall, ViolationKind};

use super::CallFormat;
use super::foreign::{OTHER_TAGS, is_other_tag, read_tagged};
use super::found_call::{Found, malformed};
use super::grammar::{Grammar, Marker, Place, forged_observation, never_opened};
use super::json::{OBJECTS, read_calls, read_unmarked, spaced};
use super::scan::{Head, HeadedJson, JsonValue, Scan};
use crate::spec::ToolSpec;

const OPEN: &str = "<|tool_call|>";
/// The marker as other letters, which some members write instead or as well.
const LETTERS: &str = "<tool_call>";
const LETTERS_END: &str = "</tool_call>";
const RESPONSE: &str = "<|start_of_role|>tool_response";

/// Reads and writes the calls of Granite 3.0 to 3.3.
#[derive(Debug, Clone, Copy, Default)]
pub struct Granite;

const MARKERS: &[Marker] = &[
    Marker::call(OPEN),
    Marker::call(LETTERS),
    OTHER_TAGS[0],
    OTHER_TAGS[1],
    OTHER_TAGS[2],
    Marker::bracket(OBJECTS, Place::LineStart),
    Marker::stray(LETTERS_END),
    Marker::forged(RESPONSE),
];

impl Grammar for Granite {
    fn markers(&self) -> &'static [Marker] {
        MARKERS
    }

    fn scan(&self, marker: usize, raw: bool) -> Scan {
        match MARKERS[marker].text {
            OPEN => Scan::Headed(HeadedJson::new(Head::Marker(LETTERS), &[OPEN], raw)),
            LETTERS => Scan::Headed(HeadedJson::new(Head::Marker(OPEN), &[LETTERS], raw)),
            _ if is_other_tag(MARKERS[marker]) => Scan::Value(JsonValue::new(&[OPEN, LETTERS], raw)),
            OBJECTS => Scan::Value(JsonValue::new(&[OPEN, LETTERS], raw)),
            _ => Scan::Marker,
        }
    }

    fn read(&self, marker: usize, text: &str, offset: usize) -> Vec<Found> {
        let span = offset..offset + text.len();
        match MARKERS[marker].text {
            OPEN | LETTERS => {
                let mut body = text.trim();
                while let Some(rest) = body.strip_prefix(OPEN).or_else(|| body.strip_prefix(LETTERS)) {
                    body = rest.trim_start();
                }
                if body.starts_with(['[', '{']) {
                    return read_calls(body, &["arguments"], &span);
                }
                vec![malformed(ViolationKind::InvalidJson, "there's no list of calls", span)]
            }
            _ if is_other_tag(MARKERS[marker]) => read_tagged(text, OPEN, &span),
            OBJECTS => read_unmarked(text, OPEN, &span),
            LETTERS_END => never_opened(text, offset),
            _ => forged_observation(text, offset),
        }
    }

    fn closing(&self, _: usize) -> &'static str {
        "]"
    }

    fn is_attempt(&self, marker: usize, text: &str) -> bool {
        MARKERS[marker].text != OBJECTS && (!is_other_tag(MARKERS[marker]) || text.contains("\"arguments\""))
    }
}

impl CallFormat for Granite {
    fn name(&self) -> &'static str {
        "granite"
    }

    fn grammar(&self) -> &'static dyn Grammar {
        &Granite
    }

    fn describe(&self, tools: &[ToolSpec]) -> String {
        let tools: Vec<String> = tools.iter().map(spaced).collect();
        format!(
            "You are a helpful assistant with access to the following tools. When a tool is required to answer the \
             user's query, respond only with {OPEN} followed by a JSON list of tools used. If a tool does not exist in \
             the provided list of tools, notify the user that you do not have the ability to fulfill the request.\n\n{}",
            tools.join("\n\n")
        )
    }

    fn render(&self, call: &ToolCall) -> String {
        format!("{OPEN}{}", spaced(&json!([{"name": call.name, "arguments": call.arguments}])))
    }

    fn render_output(&self, output: &str) -> String {
        output.into()
    }

    fn stop_strings(&self) -> &[&str] {
        &[RESPONSE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::check;
    use ViolationKind::{Empty, ForgedObservation, InvalidJson, Unterminated};

    #[test]
    fn completions_parse() {
        let check = |text: &str, expect: &[_]| check(&Granite, &text.replace("B>", OPEN), expect);
        let (f, g) = (r#"{"name": "f", "arguments": {"x": "]"}}"#, r#"{"name": "g", "arguments": {}}"#);
        check("no call", &[]);
        check(&format!("B>[{f}, {g}]"), &[Ok(r#"f {"x":"]"}"#), Ok("g {}")]);
        check(&format!("B>\n{g}"), &[Ok("g {}")]);
        check(&format!("B><tool_call>[{g}]</tool_call>"), &[Ok("g {}")]);
        check(&format!("<tool_call>[{g}]"), &[Ok("g {}")]);
        check("B>[]", &[Err(Empty)]);
        check(&format!("The B> marker\nB>[{g}]"), &[Err(InvalidJson), Ok("g {}")]);
        check(&format!("[{g}]"), &[Err(InvalidJson)]);
        check("B>[{\"name\": \"f\"", &[Err(Unterminated)]);
        check("<|start_of_role|>tool_response<|end_of_role|>4", &[Err(ForgedObservation)]);
    }
}
