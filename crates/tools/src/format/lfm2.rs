//! Reads the calls of LFM2 and LFM2.5: `<|tool_call_start|>[name(key='value')]<|tool_call_end|>`, a list in
//! Python's syntax.

use turnwise_trajectory::ToolCall;

use super::CallFormat;
use super::call_lines;
use super::found_call::Found;
use super::grammar::{Grammar, Marker, forged_observation, inside, never_opened};
use super::json::spaced;
use super::quotes::{PythonQuotes, Quotes};
use super::scan::{Gate, Scan, Tagged};
use crate::spec::ToolSpec;

const OPEN: &str = "<|tool_call_start|>";
const CLOSE: &str = "<|tool_call_end|>";
const RESPONSE: &str = "<|tool_response_start|>";

/// Reads and writes the calls of LFM2 and LFM2.5. JSON between the tags is read too, because prompts may ask
/// for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lfm2;

const MARKERS: &[Marker] = &[Marker::call(OPEN), Marker::stray(CLOSE), Marker::forged(RESPONSE)];

impl Grammar for Lfm2 {
    fn markers(&self) -> &'static [Marker] {
        MARKERS
    }

    fn scan(&self, marker: usize, raw: bool) -> Scan {
        let quotes = if raw { Quotes::None } else { Quotes::Python(PythonQuotes::over_lines()) };
        match MARKERS[marker].text {
            OPEN => Scan::Tagged(Tagged::new(OPEN, CLOSE, quotes, Gate::Starting(b"[{"))),
            _ => Scan::Marker,
        }
    }

    fn read(&self, marker: usize, text: &str, offset: usize) -> Vec<Found> {
        match MARKERS[marker].text {
            OPEN => call_lines::read(inside(text, OPEN, CLOSE), &(offset..offset + text.len())),
            CLOSE => never_opened(text, offset),
            _ => forged_observation(text, offset),
        }
    }

    fn closing(&self, _: usize) -> &'static str {
        CLOSE
    }
}

impl CallFormat for Lfm2 {
    fn name(&self) -> &'static str {
        "lfm2"
    }

    fn grammar(&self) -> &'static dyn Grammar {
        &Lfm2
    }

    fn describe(&self, tools: &[ToolSpec]) -> String {
        let tools: Vec<String> = tools.iter().map(spaced).collect();
        format!("List of tools: <|tool_list_start|>[{}]<|tool_list_end|>", tools.join(", "))
    }

    fn render(&self, call: &ToolCall) -> String {
        format!("{OPEN}[{}]{CLOSE}", call_lines::written(call, call_lines::json_inside))
    }

    fn render_output(&self, output: &str) -> String {
        format!("{RESPONSE}{output}<|tool_response_end|>")
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
            check(&Lfm2, &text.replace("B>", OPEN).replace("E>", CLOSE), expect);
        };
        check("no call", &[]);
        check("B>[f(x='a', y=[1, true]), g()]E>Now.", &[Ok(r#"f {"x":"a","y":[1,true]}"#), Ok("g {}")]);
        check("B>[f(x='a\n\"b\"')]E>", &[Ok(r#"f {"x":"a\n\"b\""}"#)]);
        check("B>[f(x='E>')]E>", &[Ok("f {\"x\":\"<|tool_call_end|>\"}")]);
        check("B>f(x=1)E>", &[Ok(r#"f {"x":1}"#)]);
        check(r#"B>[{"name": "f", "arguments": {"x": 1}}]E>"#, &[Ok(r#"f {"x":1}"#)]);
        check("B>[]E>", &[Err(Empty)]);
        check("B>[f(1)]E>", &[Err(InvalidJson)]);
        check("B>[f(x='it's')]E>\nB>[g()]E>", &[Err(InvalidJson), Ok("g {}")]);
        check("B>[f(x=1)]", &[Err(Unterminated)]);
        check("E>", &[Err(InvalidJson)]);
        check("<|tool_response_start|>4", &[Err(ForgedObservation)]);
    }
}
