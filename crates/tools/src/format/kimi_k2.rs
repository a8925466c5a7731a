//! Reads the calls of Kimi K2:
//! `<|tool_call_begin|>functions.NAME:0<|tool_call_argument_begin|>{…}<|tool_call_end|>`, in a section.

use turnwise_trajectory::{ToolCall, ViolationKind};

use super::CallFormat;
use super::found_call::{Found, malformed};
use super::grammar::{Grammar, Marker, forged_observation, inside, never_opened};
use super::json::{read_arguments, spaced};
use super::scan::{Gate, Scan, Section, Tagged};
use crate::spec::ToolSpec;

const OPEN: &str = "<|tool_call_begin|>";
const CLOSE: &str = "<|tool_call_end|>";
const ARGUMENTS: &str = "<|tool_call_argument_begin|>";
const SECTION: &str = "<|tool_calls_section_begin|>";
const SECTION_END: &str = "<|tool_calls_section_end|>";
const OUTPUT: &str = "<|im_system|>tool";

/// Reads and writes the calls of Kimi K2. An id of a call is its name between `functions.` and its number.
#[derive(Debug, Clone, Copy, Default)]
pub struct KimiK2;

const MARKERS: &[Marker] = &[
    Marker::call(OPEN),
    // A call without its opening marker.
    Marker::call(ARGUMENTS),
    Marker::call(SECTION),
    Marker::stray(CLOSE),
    Marker::forged(OUTPUT),
];

impl Grammar for KimiK2 {
    fn markers(&self) -> &'static [Marker] {
        MARKERS
    }

    fn scan(&self, marker: usize, raw: bool) -> Scan {
        match MARKERS[marker].text {
            OPEN => Scan::Tagged(Tagged::json(OPEN, CLOSE, Gate::Behind(ARGUMENTS), raw)),
            ARGUMENTS => Scan::Tagged(Tagged::json(OPEN, CLOSE, Gate::Open, raw)),
            SECTION => Scan::Section(Section::new(SECTION_END)),
            _ => Scan::Marker,
        }
    }

    fn read(&self, marker: usize, text: &str, offset: usize) -> Vec<Found> {
        let span = offset..offset + text.len();
        let wrong = |kind, message: String| vec![malformed(kind, message, span.clone())];
        match MARKERS[marker].text {
            OPEN => {}
            ARGUMENTS => return wrong(ViolationKind::InvalidJson, format!("there's no {OPEN}")),
            SECTION => return wrong(ViolationKind::Empty, format!("there's no {OPEN} in the section")),
            CLOSE => return never_opened(text, offset),
            _ => return forged_observation(text, offset),
        }
        let body = inside(text, OPEN, CLOSE).trim();
        match body.split_once(ARGUMENTS) {
            _ if body.is_empty() => wrong(ViolationKind::Empty, "the call is empty".into()),
            Some((id, arguments)) => vec![read_arguments(name_of(id.trim()), arguments, span)],
            None => wrong(ViolationKind::InvalidJson, format!("there's no {ARGUMENTS}")),
        }
    }

    fn closing(&self, _: usize) -> &'static str {
        CLOSE
    }
}

/// Returns the name in an id, `functions.NAME:NUMBER`.
fn name_of(id: &str) -> &str {
    let name = id.strip_prefix("functions.").unwrap_or(id);
    let numbered =
        name.rsplit_once(':').filter(|(_, number)| number.bytes().all(|byte| byte.is_ascii_digit()));
    numbered.map_or(name, |(name, _)| name)
}

impl CallFormat for KimiK2 {
    fn name(&self) -> &'static str {
        "kimi_k2"
    }

    fn grammar(&self) -> &'static dyn Grammar {
        &KimiK2
    }

    fn describe(&self, tools: &[ToolSpec]) -> String {
        let example = ToolCall { name: "NAME".into(), arguments: serde_json::Map::new(), span: 0..0 };
        format!("# Tools\n\n{}\n\nTo call one, write:\n\n{}", spaced(&tools), self.render(&example))
    }

    fn render(&self, call: &ToolCall) -> String {
        let arguments = spaced(&call.arguments);
        format!(
            "<|tool_calls_section_begin|>{OPEN}functions.{}:0{ARGUMENTS}{arguments}{CLOSE}<|tool_calls_section_end|>",
            call.name
        )
    }

    fn render_output(&self, output: &str) -> String {
        format!("## Return of the call\n{output}")
    }

    fn stop_strings(&self) -> &[&str] {
        &[OUTPUT]
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
            let text = text.replace("B>", OPEN).replace("E>", CLOSE).replace("A>", ARGUMENTS);
            check(&KimiK2, &text, expect);
        };
        check("no call", &[]);
        check(
            "<|tool_calls_section_begin|>B>functions.f:0A>{\"x\": \"E>\"}E>B>functions.g:1A>{}E>\
             <|tool_calls_section_end|>",
            &[Ok("f {\"x\":\"<|tool_call_end|>\"}"), Ok("g {}")],
        );
        check("B>a.b:cA>{}E>", &[Ok("a.b:c {}")]);
        check("B> f A> {} E>", &[Ok("f {}")]);
        check("B>E>", &[Err(Empty)]);
        check("B>functions.f:0 {}E>", &[Err(InvalidJson)]);
        check("B>functions.:0A>{}E>", &[Err(InvalidJson)]);
        check("functions.f:0A>{}E>", &[Err(InvalidJson)]);
        check("B>functions.f:0A>{", &[Err(Unterminated)]);
        check("<|im_system|>tool<|im_middle|>4", &[Err(ForgedObservation)]);
    }
}
