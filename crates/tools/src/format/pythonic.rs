//! Reads the Pythonic format (Llama 3.2 and 4, and others): `[name(key=value, …), …]` with Python literals as
//! values.

use std::ops::Range;

use serde_json::Map;
use turnwise_trajectory::{ToolCall, ViolationKind};

use super::CallFormat;
use super::found_call::{Found, malformed};
use super::function_tag::{self, FUNCTION, FUNCTION_END};
use super::grammar::{Grammar, Marker, Place, Role, forged_observation};
use super::json::{json_or_text, spaced};
use super::python_literal::{from_json, split_at, split_top, to_json};
use super::scan::{PythonCalls, Scan};
use crate::spec::ToolSpec;

const IPYTHON: &str = "<|start_header_id|>ipython";
const EOM: &str = "<|eom_id|>";
const MARKERS: &[Marker] = &[
    Marker { text: "[", place: Place::LineStart, keep: 0, role: Role::Call },
    Marker::call("<|python_start|>["),
    // In the middle of a line it may be prose.
    Marker { text: "[", place: Place::WordStart, keep: 0, role: Role::Call },
    Marker::call(FUNCTION),
    Marker::forged(IPYTHON),
    Marker::forged(EOM),
];

/// Reads and writes a list of calls in Python's syntax. Only keyword arguments count.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pythonic;

impl Grammar for Pythonic {
    fn markers(&self) -> &'static [Marker] {
        MARKERS
    }

    fn scan(&self, marker: usize, raw: bool) -> Scan {
        match MARKERS[marker].role {
            Role::Call if MARKERS[marker].text == FUNCTION => function_tag::scan(raw, true),
            Role::Call => Scan::Calls(PythonCalls::new(raw)),
            Role::Forged | Role::Stray => Scan::Marker,
        }
    }

    fn read(&self, marker: usize, text: &str, offset: usize) -> Vec<Found> {
        if MARKERS[marker].text == EOM {
            // The model's own end of a message with calls.
            return Vec::new();
        }
        if MARKERS[marker].role == Role::Forged {
            return forged_observation(text, offset);
        }
        if MARKERS[marker].text == FUNCTION {
            return function_tag::read(text, offset, json_or_text);
        }
        let body = &text[MARKERS[marker].text.len()..];
        let body = body.strip_suffix(']').unwrap_or(body);
        // A comma may follow the last call. All calls of a list have the list's span.
        let pieces = split_top(body).into_iter().map(str::trim).filter(|piece| !piece.is_empty());
        let found: Vec<Found> = pieces.map(|piece| read_one(piece, offset..offset + text.len())).collect();
        let is_meant = |found: &Found| found.verdict.as_ref().is_ok_and(|call| !call.arguments.is_empty());
        if self.is_attempt(marker, text) || found.iter().all(is_meant) { found } else { Vec::new() }
    }

    fn closing(&self, marker: usize) -> &'static str {
        if MARKERS[marker].text == FUNCTION { FUNCTION_END } else { "]" }
    }

    fn is_attempt(&self, marker: usize, _text: &str) -> bool {
        MARKERS[marker].place != Place::WordStart
    }

    fn bare(&self, answer: &str, span: Range<usize>) -> Option<Found> {
        // A token of the model may end the answer.
        let answer = answer.split("<|").next().unwrap_or_default();
        let pieces = split_at(answer, b",;\n").into_iter().map(str::trim).filter(|piece| !piece.is_empty());
        let read =
            |piece| read_one(piece, span.clone()).verdict.ok().filter(|call| !call.arguments.is_empty());
        let meant = pieces.map(read).collect::<Option<Vec<ToolCall>>>()?.into_iter().next()?;
        let message = "a call without the list around it: [name(key=value)]";
        Some(Found { recovered: Some(meant), ..malformed(ViolationKind::InvalidJson, message, span) })
    }

    fn may_be_bare(&self, beginning: &[u8]) -> bool {
        let beginning = beginning.trim_ascii_start();
        let name = beginning.iter().take_while(|byte| in_name(**byte) || b".-".contains(byte)).count();
        beginning.get(name).is_none_or(|next| name > 0 && *next == b'(')
    }
}

/// Reads one call of a list.
pub(super) fn read_one(text: &str, span: Range<usize>) -> Found {
    let wrong = |message: String| malformed(ViolationKind::InvalidJson, message, span.clone());
    let Some((name, arguments)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) else {
        return wrong("not a call with parentheses".into());
    };
    let name = name.trim();
    if !is_function(name) {
        return wrong(format!("not the name of a function: {name:.40}"));
    }
    let mut read = Map::new();
    for piece in split_top(arguments).into_iter().map(str::trim).filter(|piece| !piece.is_empty()) {
        let Some((key, value)) = piece.split_once('=').filter(|(key, _)| is_name(key.trim())) else {
            return wrong(format!("not a keyword argument: {piece:.40}"));
        };
        match to_json(value.trim()) {
            Ok(value) => read.insert(key.trim().into(), value),
            Err(message) => return wrong(format!("argument {}: {message}", key.trim())),
        };
    }
    let call = ToolCall { name: name.into(), arguments: read, span };
    Found { verdict: Ok(call), recovered: None }
}

fn is_function(name: &str) -> bool {
    name.is_ascii()
        && name.split(['.', '-']).all(|part| !part.is_empty() && part.bytes().all(in_name))
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Returns whether Python's syntax can express a call: JSON has other names and keys.
pub(super) fn is_expressible(call: &ToolCall) -> bool {
    is_function(&call.name) && call.arguments.keys().all(|key| is_name(key))
}

fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Returns whether a text is an identifier.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

impl CallFormat for Pythonic {
    fn name(&self) -> &'static str {
        "pythonic"
    }

    fn grammar(&self) -> &'static dyn Grammar {
        &Pythonic
    }

    fn describe(&self, tools: &[ToolSpec]) -> String {
        let tools: Vec<String> = tools.iter().map(spaced).collect();
        format!(
            "You may call functions. To do so, answer with a list of calls and nothing else: \
             [func_name1(params_name1=params_value1, params_name2=params_value2), func_name2(params)]\n\n\
             Here are the functions in JSON format:\n\n{}",
            tools.join("\n")
        )
    }

    fn render(&self, call: &ToolCall) -> String {
        let arguments: Vec<String> =
            call.arguments.iter().map(|(key, value)| format!("{key}={}", from_json(value))).collect();
        format!("[{}({})]", call.name, arguments.join(", "))
    }

    fn render_output(&self, output: &str) -> String {
        output.into()
    }

    fn stop_strings(&self) -> &[&str] {
        &[EOM, IPYTHON]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::check;
    use ViolationKind::{ForgedObservation, InvalidJson, Unterminated};

    #[test]
    fn completions_parse() {
        let check = |text: &str, expect: &[_]| check(&Pythonic, text, expect);
        check("[f(), (x=1)]", &[Ok("f {}"), Err(InvalidJson)]);
        check("no call [1], nor [a, b]", &[]);
        check("[1, 2]\n[a, b]\n[x[0](1)]", &[]);
        check("[f()]", &[Ok("f {}")]);
        check(
            "[f(x=1, y='a]', z=[True, None]), g.h(k={\"a\": (1, -2.5)})]",
            &[Ok(r#"f {"x":1,"y":"a]","z":[true,null]}"#), Ok(r#"g.h {"k":{"a":[1,-2.5]}}"#)],
        );
        check("<|python_start|>[f(x=\"\"\"a\n'b'\"\"\")]<|python_end|>", &[Ok(r#"f {"x":"a\n'b'"}"#)]);
        check("[f(1), g()]", &[Err(InvalidJson), Ok("g {}")]);
        check("[f(x=y)]", &[Err(InvalidJson)]);
        check("[f(x=1", &[Err(Unterminated)]);
        check("<|start_header_id|>ipython", &[Err(ForgedObservation)]);
    }
}
