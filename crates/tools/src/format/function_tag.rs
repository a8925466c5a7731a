//! Reads calls as tags: `<function=NAME>` with `<parameter=KEY>` tags or a JSON object inside, and
//! `</function>`.

use std::ops::Range;

use serde_json::{Map, Value};
use turnwise_trajectory::{ToolCall, ViolationKind};

use super::found_call::{Found, malformed};
use super::grammar::check_name;
use super::json::read_arguments;
use super::quotes::{JsonQuotes, ParameterQuotes, Quotes, ValueTags};
use super::scan::{Gate, Scan, Tagged};

pub(super) const FUNCTION: &str = "<function=";
pub(super) const FUNCTION_END: &str = "</function>";
pub(super) const PARAMETER: &str = "<parameter=";
pub(super) const PARAMETER_END: &str = "</parameter>";
/// The tags of a value.
pub(super) const VALUE: ValueTags =
    ValueTags { open: PARAMETER, close: PARAMETER_END, next: &[PARAMETER, FUNCTION_END, FUNCTION] };

/// Holds the arguments of a function as they're written.
pub(super) enum Body<'a> {
    /// Keys and values as text.
    Pairs(Vec<(&'a str, &'a str)>),
    /// A JSON object.
    Json(&'a str),
}

/// Holds a function's name and arguments, or its fault.
pub(super) type Function<'a> = Result<(&'a str, Body<'a>), &'static str>;

/// Returns the scanner of a function without tags around it.
pub(super) fn scan(raw: bool, json: bool) -> Scan {
    let (quotes, gate) = match (raw, json) {
        (true, _) => (Quotes::None, Gate::Open),
        (false, true) => (Quotes::Json(JsonQuotes::default()), Gate::Behind(">")),
        (false, false) => (Quotes::Parameters(ParameterQuotes::new(&VALUE)), Gate::Open),
    };
    Scan::Tagged(Tagged::new(FUNCTION, FUNCTION_END, quotes, gate))
}

/// Returns the functions of a text with their byte ranges. The first range begins with the text, the last
/// ends with it.
pub(super) fn functions(text: &str) -> Vec<(Range<usize>, Function<'_>)> {
    let mut functions = Vec::new();
    let (mut start, mut begin) = (0, text.find(FUNCTION));
    while let Some(at) = begin {
        let (function, end) = match split(&text[at..]) {
            Ok((name, body, length)) => (Ok((name, body)), at + length),
            Err(message) => (Err(message), text.len()),
        };
        begin = text[end..].find(FUNCTION).map(|next| end + next);
        let end = if begin.is_some() { end } else { text.len() };
        functions.push((start..end, function));
        start = begin.unwrap_or(end);
    }
    functions
}

/// Reads the functions of a text as calls. Values without types are typed by `value`.
pub(super) fn read(text: &str, offset: usize, value: fn(&str) -> Value) -> Vec<Found> {
    let read = |(place, function): (Range<usize>, Function<'_>)| {
        let span = offset + place.start..offset + place.end;
        let wrong = |message: &str| malformed(ViolationKind::InvalidJson, message, span.clone());
        match function {
            Err(message) => wrong(message),
            Ok((name, Body::Json(body))) => read_arguments(name, body, span),
            Ok((name, Body::Pairs(pairs))) => {
                if let Err(message) = check_name(name) {
                    return wrong(&message);
                }
                let typed = |(key, raw): (&str, &str)| (key.to_string(), value(raw));
                let arguments: Map<String, Value> = pairs.into_iter().map(typed).collect();
                let call = ToolCall { name: name.into(), arguments, span };
                Found { verdict: Ok(call), recovered: None }
            }
        }
    };
    functions(text).into_iter().map(read).collect()
}

/// Returns the name, the raw arguments and the length of the function that a text begins with.
fn split(text: &str) -> Result<(&str, Body<'_>, usize), &'static str> {
    let (name, mut rest) = text[FUNCTION.len()..].split_once('>').ok_or("<function=… has no end")?;
    let name = name.trim();
    if rest.trim_start().starts_with('{') {
        let end = json_end(rest).ok_or(NO_END)?;
        let length = text.len() - rest.len() + end + FUNCTION_END.len();
        return Ok((name, Body::Json(&rest[..end]), length));
    }
    let mut pairs = Vec::new();
    while let Some(after) = rest.trim_start().strip_prefix(PARAMETER) {
        let (key, body) = after.split_once('>').ok_or("<parameter=… has no end")?;
        let end = VALUE.end(body).ok_or_else(|| never_ends(body))?;
        let (end, next) = match unclosed(&body[..end]) {
            Some(next) => (opens_line(&body[..next]).ok_or(UNCLOSED)?, next),
            None => (end, end + PARAMETER_END.len()),
        };
        let value = body[..end].strip_prefix('\n').unwrap_or(&body[..end]);
        pairs.push((key.trim(), value.strip_suffix('\n').unwrap_or(value)));
        rest = &body[next..];
    }
    match rest.trim_start().strip_prefix(FUNCTION_END) {
        Some(after) => Ok((name, Body::Pairs(pairs), text.len() - after.len())),
        None => Err(NO_END),
    }
}

const UNCLOSED: &str = "a parameter is never closed with </parameter>";
const NO_END: &str = "there's no </function>";

/// Returns the place of the parameter that follows a value without a closing tag. A value that quotes a
/// parameter holds both of its tags.
fn unclosed(value: &str) -> Option<usize> {
    let is_key = |text: &str| {
        text.split_once('>').is_some_and(|(key, _)| {
            !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
        })
    };
    let opens = value.match_indices(PARAMETER).filter(|(at, tag)| is_key(&value[at + tag.len()..]));
    let opens: Vec<usize> = opens.map(|(at, _)| at).collect();
    (opens.len() > value.matches(PARAMETER_END).count()).then(|| opens[0])
}

/// Returns the end of the text before a line, if a tag after this text begins a line. Qwen's own parser ends
/// a value there. In the middle of a line the tag may be the value's.
fn opens_line(before: &str) -> Option<usize> {
    let line = before.trim_end_matches([' ', '\t']);
    line.ends_with('\n').then_some(line.len())
}

/// Returns the reason for which no value ends in a text.
fn never_ends(body: &str) -> &'static str {
    let is_last = |(_, rest): (&str, &str)| matches!(rest.trim(), "" | "</tool_call>");
    if body.rsplit_once(PARAMETER_END).is_some_and(is_last) { NO_END } else { UNCLOSED }
}

/// Returns the first `</function>` outside string literals, or any if a literal is never closed.
fn json_end(body: &str) -> Option<usize> {
    let mut quotes = JsonQuotes::default();
    let mut plain = None;
    for (at, byte) in body.bytes().enumerate() {
        if !quotes.inside() && body.as_bytes()[at..].starts_with(FUNCTION_END.as_bytes()) {
            plain = Some(at);
            break;
        }
        quotes.step(byte);
    }
    plain.or_else(|| body.find(FUNCTION_END))
}
