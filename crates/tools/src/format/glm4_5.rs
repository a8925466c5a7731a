//! Reads the calls of GLM-4.5 and later:
//! `<tool_call>NAME\n<arg_key>KEY</arg_key>\n<arg_value>VALUE</arg_value>\n</tool_call>`.
//!
//! Values are raw text, typed as those of Qwen3-Coder: by the schema, or else as JSON where they are JSON.

use std::fmt::Write;
use std::ops::Range;

use serde_json::{Map, Value};
use turnwise_trajectory::{MalformedCall, ToolCall, ViolationKind};

use super::CallFormat;
use super::found_call::{Found, malformed};
use super::glm4::{ENDING, OBSERVATION};
use super::grammar::{Grammar, Marker, Place, check_name, forged_observation, never_opened};
use super::hermes::{CLOSE, OPEN, RESPONSE, response};
use super::json::{json_or_text, spaced};
use super::quotes::{ParameterQuotes, Quotes, ValueTags};
use super::scan::{Gate, Scan, Tagged};
use super::thought::{Opening, THINK};
use super::untyped::Tags;
use crate::spec::ToolSpec;

const KEY: &str = "<arg_key>";
const KEY_END: &str = "</arg_key>";
const VALUE: ValueTags = ValueTags { open: "<arg_value>", close: "</arg_value>", next: &[KEY, CLOSE] };
/// Tags that a value mustn't hold as they are.
const TAGS: Tags = Tags(&[
    OPEN,
    CLOSE,
    KEY,
    KEY_END,
    VALUE.open,
    VALUE.close,
    RESPONSE,
    OBSERVATION,
    THINK.open,
    THINK.close,
]);

/// Reads and writes the calls of GLM-4.5, GLM-4.6 and GLM-4.7.
#[derive(Debug, Clone, Copy, Default)]
pub struct Glm45;

const MARKERS: &[Marker] = &[
    Marker::call(OPEN),
    Marker::stray(CLOSE),
    Marker::forged(RESPONSE),
    ENDING,
    Marker::forged(OBSERVATION),
];

impl Grammar for Glm45 {
    fn markers(&self) -> &'static [Marker] {
        MARKERS
    }

    fn scan(&self, marker: usize, raw: bool) -> Scan {
        let quotes = if raw { Quotes::None } else { Quotes::Parameters(ParameterQuotes::new(&VALUE)) };
        match MARKERS[marker].text {
            OPEN => Scan::Tagged(Tagged::new(OPEN, CLOSE, quotes, Gate::Open)),
            OBSERVATION if MARKERS[marker].place == Place::AfterCall => Scan::AnyText,
            _ => Scan::Marker,
        }
    }

    fn read(&self, marker: usize, text: &str, offset: usize) -> Vec<Found> {
        match MARKERS[marker].text {
            OPEN => vec![read_one(text, offset..offset + text.len())],
            CLOSE => never_opened(text, offset),
            _ => forged_observation(text, offset),
        }
    }

    fn closing(&self, _: usize) -> &'static str {
        CLOSE
    }
}

fn read_one(text: &str, span: Range<usize>) -> Found {
    let wrong = |kind, message: String| malformed(kind, message, span.clone());
    let (name, pairs) = match split(text) {
        Ok(parts) => parts,
        Err(message) => return wrong(ViolationKind::InvalidJson, message.into()),
    };
    if name.is_empty() && pairs.is_empty() {
        return wrong(ViolationKind::Empty, "the call is empty".into());
    }
    if let Err(message) = check_name(name) {
        return wrong(ViolationKind::InvalidJson, message);
    }
    let typed = |(key, raw): (&str, &str)| (key.to_string(), json_or_text(raw));
    let arguments: Map<String, Value> = pairs.into_iter().map(typed).collect();
    Found { verdict: Ok(ToolCall { name: name.into(), arguments, span }), recovered: None }
}

/// Keys and values as they're written.
type Pairs<'a> = Vec<(&'a str, &'a str)>;

/// Returns the name and the raw arguments of a call with its tags.
fn split(text: &str) -> Result<(&str, Pairs<'_>), &'static str> {
    let body = text.trim_start_matches(OPEN);
    let name_end = body.find(KEY).or_else(|| body.rfind(CLOSE)).unwrap_or(body.len());
    let (name, mut rest) = body.split_at(name_end);
    let mut pairs = Vec::new();
    while let Some(after) = rest.trim_start().strip_prefix(KEY) {
        let (key, after) = after.split_once(KEY_END).ok_or("<arg_key> is never closed")?;
        if key.contains('<') || key.trim().is_empty() {
            return Err("there's no key between <arg_key> and </arg_key>");
        }
        let value = after.trim_start().strip_prefix(VALUE.open).ok_or("there's no <arg_value>")?;
        let end = VALUE.end(value).ok_or("a value is never closed with </arg_value>")?;
        // A value that quotes another holds both of its tags.
        if value[..end].matches(VALUE.open).count() > value[..end].matches(VALUE.close).count() {
            return Err("a value is never closed with </arg_value>");
        }
        pairs.push((key.trim(), &value[..end]));
        rest = &value[end + VALUE.close.len()..];
    }
    match rest.trim() {
        CLOSE | "" => Ok((name.trim(), pairs)),
        _ => Err("there's something between the arguments"),
    }
}

impl CallFormat for Glm45 {
    fn name(&self) -> &'static str {
        "glm4_5"
    }

    fn grammar(&self) -> &'static dyn Grammar {
        &Glm45
    }

    fn describe(&self, tools: &[ToolSpec]) -> String {
        let tools: Vec<String> = tools.iter().map(spaced).collect();
        format!(
            "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with \
             function signatures within <tools></tools> XML tags:\n<tools>\n{}\n</tools>\n\nFor each function call, \
             output the function name and arguments within the following XML format:\n{OPEN}{{function-name}}\n\
             {KEY}{{arg-key-1}}{KEY_END}\n{}{{arg-value-1}}{}\n{KEY}{{arg-key-2}}{KEY_END}\n{}{{arg-value-2}}{}\n\
             ...\n{CLOSE}",
            tools.join("\n"),
            VALUE.open,
            VALUE.close,
            VALUE.open,
            VALUE.close
        )
    }

    fn parse_checked_from(
        &self,
        opening: Opening,
        completion: &str,
        tools: &[ToolSpec],
    ) -> Vec<Result<ToolCall, MalformedCall>> {
        let retype = |call: ToolCall| {
            let pairs = split(&completion[call.span.clone()]).ok().map(|(_, pairs)| pairs);
            TAGS.retyped(call, pairs, tools)
        };
        self.parse_from(opening, completion).into_iter().map(|call| call.and_then(retype)).collect()
    }

    fn render(&self, call: &ToolCall) -> String {
        let mut text = format!("{OPEN}{}\n", call.name);
        for (key, value) in &call.arguments {
            let (open, close) = (VALUE.open, VALUE.close);
            let _ = write!(text, "{KEY}{key}{KEY_END}\n{open}{}{close}\n", TAGS.written(value));
        }
        text + CLOSE
    }

    fn render_output(&self, output: &str) -> String {
        response(output)
    }

    fn stop_strings(&self) -> &[&str] {
        &[RESPONSE, OBSERVATION]
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
            let text = text.replace("K>", KEY).replace("/K", KEY_END);
            check(&Glm45, &text.replace("V>", VALUE.open).replace("/V", VALUE.close), expect);
        };
        check("no call", &[]);
        check(
            "<tool_call>f\nK>x/K\nV>1/V\nK>y/K\nV>a\nb/V\n</tool_call>\n<tool_call>g\n</tool_call>",
            &[Ok(r#"f {"x":1,"y":"a\nb"}"#), Ok("g {}")],
        );
        check("<tool_call>fK>x/KV>[1, \"a\"]/V</tool_call>", &[Ok(r#"f {"x":[1,"a"]}"#)]);
        check(
            "<tool_call>f\nK>x/K\nV>print('</tool_call>/V')/V\n</tool_call>",
            &[Ok(r#"f {"x":"print('</tool_call></arg_value>')"}"#)],
        );
        check("<tool_call></tool_call>", &[Err(Empty)]);
        check("<tool_call>f\nK>x/K\n</tool_call>", &[Err(InvalidJson)]);
        check("<tool_call>\nK>x/K\nV>1/V\n</tool_call>", &[Err(InvalidJson)]);
        check("<tool_call>{\"name\": \"f\"}</tool_call>", &[Err(InvalidJson)]);
        check("<tool_call>f\nK>x/K\nV>1", &[Err(Unterminated)]);
        check("<|observation|>", &[Err(ForgedObservation)]);
    }

    #[test]
    fn the_schema_decides_what_is_text() {
        let text = "<tool_call>python\n<arg_key>code</arg_key>\n<arg_value>42</arg_value>\n</tool_call>";
        assert_eq!(Glm45.parse(text)[0].as_ref().unwrap().arguments["code"], 42);
        let checked = Glm45.parse_checked(text, &[ToolSpec::python()]);
        assert_eq!(checked[0].as_ref().unwrap().arguments["code"], "42");
    }
}
