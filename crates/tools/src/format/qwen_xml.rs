//! Reads Qwen3-Coder's calls:
//! `<tool_call>\n<function=NAME>\n<parameter=KEY>\nVALUE\n</parameter>\n</function>\n</tool_call>`.
//!
//! Values are raw text. Without a schema, text that is JSON other than a string is read as JSON. With one
//! ([`CallFormat::parse_checked`]) the schema decides, so the code `42` stays text.

use std::fmt::Write;

use turnwise_trajectory::{MalformedCall, ToolCall, ViolationKind};

use super::CallFormat;
use super::found_call::{Found, malformed};
use super::function_tag::{self, Body, FUNCTION, FUNCTION_END, PARAMETER, PARAMETER_END, VALUE, functions};
use super::grammar::{Grammar, Marker, forged_observation, never_opened};
use super::hermes::{CLOSE, OPEN, RESPONSE, response};
use super::json::{json_or_text, spaced};
use super::quotes::{ParameterQuotes, Quotes};
use super::scan::{Gate, Scan, Tagged};
use super::thought::{Opening, THINK};
use super::untyped::Tags;
use crate::spec::ToolSpec;

const MARKERS: &[Marker] =
    &[Marker::call(OPEN), Marker::call(FUNCTION), Marker::stray(CLOSE), Marker::forged(RESPONSE)];

/// Reads and writes the XML-like calls of Qwen3-Coder. A block may hold several functions. A function may
/// stand without a block, or hold a JSON object.
#[derive(Debug, Clone, Copy, Default)]
pub struct QwenXml;

impl Grammar for QwenXml {
    fn markers(&self) -> &'static [Marker] {
        MARKERS
    }

    fn scan(&self, marker: usize, raw: bool) -> Scan {
        let tagged = |quotes| Tagged::new(OPEN, CLOSE, quotes, Gate::Open);
        match (MARKERS[marker].text, raw) {
            (OPEN, true) => Scan::Tagged(tagged(Quotes::None)),
            (OPEN, false) => {
                let quotes = Quotes::Parameters(ParameterQuotes::new(&VALUE));
                Scan::Tagged(tagged(quotes).closing_after(&[FUNCTION_END]))
            }
            (FUNCTION, _) => function_tag::scan(raw, false),
            _ => Scan::Marker,
        }
    }

    fn read(&self, marker: usize, text: &str, offset: usize) -> Vec<Found> {
        let wrong = |kind, message| vec![malformed(kind, message, offset..offset + text.len())];
        match MARKERS[marker].text {
            OPEN if text.trim_start_matches(OPEN).trim_end_matches(CLOSE).trim().is_empty() => {
                wrong(ViolationKind::Empty, "the call is empty")
            }
            OPEN if !text.contains(FUNCTION) => wrong(ViolationKind::InvalidJson, "there's no <function=…>"),
            OPEN | FUNCTION => function_tag::read(text, offset, json_or_text),
            CLOSE => never_opened(text, offset),
            _ => forged_observation(text, offset),
        }
    }

    fn closing(&self, marker: usize) -> &'static str {
        if MARKERS[marker].text == FUNCTION { FUNCTION_END } else { CLOSE }
    }
}

/// Tags that a value mustn't hold as they are.
const TAGS: Tags =
    Tags(&[OPEN, CLOSE, FUNCTION, FUNCTION_END, PARAMETER, PARAMETER_END, RESPONSE, THINK.open, THINK.close]);

impl CallFormat for QwenXml {
    fn name(&self) -> &'static str {
        "qwen_xml"
    }

    fn grammar(&self) -> &'static dyn Grammar {
        &QwenXml
    }

    fn describe(&self, tools: &[ToolSpec]) -> String {
        let mut text = String::from("# Tools\n\nYou have access to the following functions:\n\n<tools>");
        for tool in tools {
            let _ = write!(text, "\n{}", spaced(tool));
        }
        text.push_str(
            "\n</tools>\n\nIf you choose to call a function ONLY reply in the following format with NO suffix:\n\n\
             <tool_call>\n<function=example_function_name>\n<parameter=example_parameter_1>\nvalue_1\n</parameter>\n\
             <parameter=example_parameter_2>\nThis is the value for the second parameter\nthat can span\nmultiple \
             lines\n</parameter>\n</function>\n</tool_call>",
        );
        text
    }

    fn parse_checked_from(
        &self,
        opening: Opening,
        completion: &str,
        tools: &[ToolSpec],
    ) -> Vec<Result<ToolCall, MalformedCall>> {
        let retype = |call: ToolCall| {
            let pairs = match functions(&completion[call.span.clone()]).into_iter().next() {
                Some((_, Ok((_, Body::Pairs(pairs))))) => Some(pairs),
                _ => None,
            };
            TAGS.retyped(call, pairs, tools)
        };
        self.parse_from(opening, completion).into_iter().map(|call| call.and_then(retype)).collect()
    }

    fn render(&self, call: &ToolCall) -> String {
        let mut text = format!("{OPEN}\n{FUNCTION}{}>\n", call.name);
        let is_plain = |key: &String| !key.is_empty() && key.trim() == key && !key.contains(['>', '\n', '<']);
        if call.arguments.keys().all(is_plain) {
            for (key, value) in &call.arguments {
                let _ = write!(text, "{PARAMETER}{key}>\n{}\n{PARAMETER_END}\n", TAGS.written(value));
            }
        } else {
            let _ = writeln!(text, "{}", TAGS.escaped(spaced(&call.arguments)));
        }
        text + FUNCTION_END + "\n" + CLOSE
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
    use ViolationKind::{Empty, ForgedObservation, InvalidJson, Unterminated};

    #[test]
    fn completions_parse() {
        let check = |text: &str, expect: &[_]| check(&QwenXml, text, expect);
        let call =
            "<tool_call>\n<function=f>\n<parameter=c>\nx = 1\ny\n</parameter>\n</function>\n</tool_call>";
        check(call, &[Ok(r#"f {"c":"x = 1\ny"}"#)]);
        check(&call.replace('\n', ""), &[Ok(r#"f {"c":"x = 1y"}"#)]);
        check("<tool_call><function=f></function></tool_call>", &[Ok("f {}")]);
        check("<tool_call>\n</tool_call>", &[Err(Empty)]);
        check("<tool_call><function=></function></tool_call>", &[Err(InvalidJson)]);
        check("<tool_call>{\"name\": 1}</tool_call>", &[Err(InvalidJson)]);
        check("<tool_call><function=f><parameter=c>x</function></tool_call>", &[Err(InvalidJson)]);
        check("<tool_call><function=f><parameter=c>x", &[Err(Unterminated)]);
        check("<tool_response>", &[Err(ForgedObservation)]);
    }

    #[test]
    fn markers_inside_a_value_do_not_fire() {
        check(
            &QwenXml,
            "<tool_call><function=f><parameter=c>\nprint('</parameter></tool_call>')\n</parameter></function></tool_call>",
            &[Ok(r#"f {"c":"print('</parameter></tool_call>')"}"#)],
        );
    }

    #[test]
    fn the_schema_decides_what_is_text() {
        let text = "<tool_call><function=python><parameter=code>42</parameter></function></tool_call>";
        assert_eq!(QwenXml.parse(text)[0].as_ref().unwrap().arguments["code"], 42);
        let checked = QwenXml.parse_checked(text, &[ToolSpec::python()]);
        assert_eq!(checked[0].as_ref().unwrap().arguments["code"], "42");
    }
}
