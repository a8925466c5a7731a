//! Reads the calls of Phi-4-mini: `<|tool_call|>[{"name": …, "arguments": {…}}]<|/tool_call|>`, and
//! `functools[{…}]` as its prompts with many tools ask for.

use serde_json::json;
use turnwise_trajectory::ToolCall;

use super::CallFormat;
use super::found_call::Found;
use super::grammar::{Grammar, Marker, Place, Role, forged_observation, inside, never_opened};
use super::json::{OBJECTS, read_calls, read_unmarked, spaced};
use super::quotes::{JsonQuotes, Quotes};
use super::scan::{Gate, JsonValue, Scan, Tagged};
use crate::spec::ToolSpec;

const OPEN: &str = "<|tool_call|>";
const CLOSE: &str = "<|/tool_call|>";
const FUNCTOOLS: &str = "functools[";
const FUNCTOOLS_APART: &str = "functools [";
/// The beginning of a list as OpenAI's interface has it.
const TYPED: &str = "[{\"type\"";
const RESPONSE: &str = "<|tool_response|>";

/// Reads and writes the calls of Phi-4-mini.
#[derive(Debug, Clone, Copy, Default)]
pub struct Phi4Mini;

const MARKERS: &[Marker] = &[
    Marker::call(OPEN),
    Marker { text: FUNCTOOLS, place: Place::Anywhere, keep: 1, role: Role::Call },
    Marker { text: FUNCTOOLS_APART, place: Place::Anywhere, keep: 1, role: Role::Call },
    Marker::bracket(TYPED, Place::LineStart),
    Marker::bracket(OBJECTS, Place::LineStart),
    Marker::stray(CLOSE),
    Marker::forged(RESPONSE),
];

impl Grammar for Phi4Mini {
    fn markers(&self) -> &'static [Marker] {
        MARKERS
    }

    fn scan(&self, marker: usize, raw: bool) -> Scan {
        let quotes = if raw { Quotes::None } else { Quotes::Json(JsonQuotes::default()) };
        match MARKERS[marker].text {
            OPEN => Scan::Tagged(Tagged::new(OPEN, CLOSE, quotes, Gate::Starting(b"{["))),
            FUNCTOOLS | FUNCTOOLS_APART => {
                Scan::Value(JsonValue::new(&[OPEN, FUNCTOOLS], raw).unless_prose())
            }
            OBJECTS | TYPED => Scan::Value(JsonValue::new(&[OPEN, FUNCTOOLS], raw)),
            _ => Scan::Marker,
        }
    }

    fn read(&self, marker: usize, text: &str, offset: usize) -> Vec<Found> {
        let span = offset..offset + text.len();
        match MARKERS[marker].text {
            OPEN => read_calls(inside(text, OPEN, CLOSE), &["arguments", "parameters"], &span),
            FUNCTOOLS | FUNCTOOLS_APART => {
                read_calls(&text[text.find('[').unwrap_or(0)..], &["arguments", "parameters"], &span)
            }
            OBJECTS | TYPED => read_unmarked(text, OPEN, &span),
            CLOSE => never_opened(text, offset),
            _ => forged_observation(text, offset),
        }
    }

    fn closing(&self, marker: usize) -> &'static str {
        if MARKERS[marker].text == OPEN { CLOSE } else { "]" }
    }

    fn is_attempt(&self, marker: usize, _text: &str) -> bool {
        !matches!(MARKERS[marker].text, OBJECTS | TYPED)
    }
}

impl CallFormat for Phi4Mini {
    fn name(&self) -> &'static str {
        "phi4_mini"
    }

    fn grammar(&self) -> &'static dyn Grammar {
        &Phi4Mini
    }

    fn describe(&self, tools: &[ToolSpec]) -> String {
        let tools: Vec<String> = tools.iter().map(spaced).collect();
        format!(
            "You are a helpful assistant with some tools.<|tool|>[{}]<|/tool|>\nTo use a tool, respond in this format: \
             {OPEN}[{{\"name\": \"foo\", \"arguments\": {{\"a\": 1}}}}]{CLOSE}",
            tools.join(", ")
        )
    }

    fn render(&self, call: &ToolCall) -> String {
        format!("{OPEN}{}{CLOSE}", spaced(&json!([{"name": call.name, "arguments": call.arguments}])))
    }

    fn render_output(&self, output: &str) -> String {
        format!("{RESPONSE}{}", spaced(&output))
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
        let check = |text: &str, expect: &[_]| {
            check(&Phi4Mini, &text.replace("B>", OPEN).replace("E>", CLOSE), expect);
        };
        let (f, g) = (r#"{"name": "f", "arguments": {"x": 1}}"#, r#"{"name": "g", "arguments": {}}"#);
        let both = [Ok(r#"f {"x":1}"#), Ok("g {}")];
        check("no call, and no functools[] either", &[]);
        check(&format!("B>[{f}, {g}]E>"), &both);
        check(&format!("B>{f}E>B>{g}E>"), &both);
        check(&format!("functools[{f},\n{g}]"), &both);
        check(r#"B>[{"name": "f", "arguments": {"x": "E>"}}]E>"#, &[Ok(r#"f {"x":"<|/tool_call|>"}"#)]);
        check("B>E>", &[Err(Empty)]);
        check("B>fE>", &[Err(InvalidJson)]);
        check(&format!("[{f}]"), &[Err(InvalidJson)]);
        check("functools[{\"name\": \"f\"", &[Err(Unterminated)]);
        check("B>[", &[Err(Unterminated)]);
        check("<|tool_response|>4", &[Err(ForgedObservation)]);
    }
}
