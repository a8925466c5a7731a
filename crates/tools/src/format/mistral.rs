//! Reads both styles of Mistral: `[TOOL_CALLS] [{"name": …, "arguments": {…}}, …]`, and since tokenizer v11
//! `[TOOL_CALLS]NAME[ARGS]{…}`, where `[CALL_ID]` and an id may follow the name.

use serde_json::{Value, json};
use turnwise_trajectory::{ToolCall, ViolationKind};

use super::CallFormat;
use super::found_call::{Found, malformed};
use super::grammar::{Grammar, Marker, Place, Role, check_name, forged_observation, never_opened};
use super::json::{OBJECTS, read_arguments, read_calls, read_unmarked, spaced};
use super::scan::{JsonValue, NamedJson, Scan};
use crate::spec::ToolSpec;

const OPEN: &str = "[TOOL_CALLS]";
const ID: &str = "[CALL_ID]";
const ARGS: &str = "[ARGS]";
const RESULTS: &str = "[TOOL_RESULTS]";

/// Reads and writes the calls of the Mistral family. It reads both styles and writes `style`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mistral {
    /// The style to write.
    pub style: Style,
}

/// Names a style of the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// A list of objects, up to tokenizer v7.
    #[default]
    List,
    /// Name and arguments apart, since tokenizer v11.
    Args,
}

const MARKERS: &[Marker] = &[
    Marker::call(OPEN),
    // Another object after a call lacks its name.
    Marker { text: ", {", place: Place::AfterCall, keep: 1, role: Role::Call },
    Marker { text: ",{", place: Place::AfterCall, keep: 1, role: Role::Call },
    // The first call's marker also opens those that follow it directly.
    Marker::bracket("[{", Place::AfterCall),
    Marker::bracket("{\"", Place::AfterCall),
    Marker::bracket(OBJECTS, Place::LineStart),
    Marker::stray(ARGS),
    Marker::forged(RESULTS),
];

impl Grammar for Mistral {
    fn markers(&self) -> &'static [Marker] {
        MARKERS
    }

    fn scan(&self, marker: usize, raw: bool) -> Scan {
        match MARKERS[marker].text {
            OPEN => Scan::Named(NamedJson::new(raw)),
            ARGS | RESULTS => Scan::Marker,
            _ => Scan::Value(JsonValue::new(&[OPEN], raw)),
        }
    }

    fn read(&self, marker: usize, text: &str, offset: usize) -> Vec<Found> {
        let span = offset..offset + text.len();
        match MARKERS[marker].text {
            RESULTS => return forged_observation(text, offset),
            ARGS => return never_opened(text, offset),
            OBJECTS => return read_unmarked(text, OPEN, &span),
            OPEN => {}
            _ if is_object_of_call(text) => {
                return read_calls(text.trim_start_matches([',', ' ']), &["arguments"], &span);
            }
            _ if text.starts_with(',') => {
                return vec![malformed(ViolationKind::InvalidJson, format!("a call without {OPEN}"), span)];
            }
            _ => return Vec::new(),
        }
        let body = text.strip_prefix(OPEN).unwrap_or(text).trim();
        let name_end = [ID, ARGS, "{"].iter().filter_map(|end| body.find(end)).min();
        match name_end {
            _ if body.is_empty() => vec![malformed(ViolationKind::Empty, "the call is empty", span)],
            _ if body.starts_with(['[', '{']) && !body.starts_with(ARGS) => {
                read_calls(body, &["arguments"], &span)
            }
            Some(end) => {
                let (name, rest) = body.split_at(end);
                let arguments = rest.split_once(ARGS).filter(|_| !rest.starts_with('{'));
                let arguments = arguments.map_or(rest, |(_, arguments)| arguments);
                vec![read_arguments(name.trim(), arguments, span)]
            }
            None => vec![malformed(ViolationKind::InvalidJson, "there's neither a list nor [ARGS]", span)],
        }
    }

    fn closing(&self, _: usize) -> &'static str {
        match self.style {
            Style::List => "]",
            Style::Args => "}",
        }
    }

    fn is_attempt(&self, marker: usize, text: &str) -> bool {
        MARKERS[marker].place == Place::Anywhere
            || MARKERS[marker].place == Place::AfterCall && (text.starts_with(',') || is_object_of_call(text))
    }
}

fn is_object_of_call(text: &str) -> bool {
    text.contains("\"name\"") && text.contains("\"arguments\"")
}

/// Returns whether a name can stand without quotes.
fn is_bare(name: &str) -> bool {
    check_name(name).is_ok() && !name.contains(char::is_whitespace) && name.len() < 128
}

impl CallFormat for Mistral {
    fn name(&self) -> &'static str {
        match self.style {
            Style::List => "mistral",
            Style::Args => "mistral:args",
        }
    }

    fn grammar(&self) -> &'static dyn Grammar {
        match self.style {
            Style::List => &Mistral { style: Style::List },
            Style::Args => &Mistral { style: Style::Args },
        }
    }

    fn describe(&self, tools: &[ToolSpec]) -> String {
        let tools: Vec<Value> = tools.iter().map(|tool| json!(tool)).collect();
        format!("[AVAILABLE_TOOLS] {}[/AVAILABLE_TOOLS]", spaced(&tools))
    }

    fn render(&self, call: &ToolCall) -> String {
        match self.style {
            // Other names can't stand without quotes.
            Style::Args if is_bare(&call.name) => {
                format!("{OPEN}{}{ARGS}{}", call.name, spaced(&call.arguments))
            }
            Style::List | Style::Args => {
                format!("{OPEN} {}", spaced(&json!([{"name": call.name, "arguments": call.arguments}])))
            }
        }
    }

    fn render_output(&self, output: &str) -> String {
        match self.style {
            Style::List => format!("{RESULTS} {}[/TOOL_RESULTS]", spaced(&json!({"content": output}))),
            Style::Args => format!("{RESULTS}{output}[/TOOL_RESULTS]"),
        }
    }

    fn stop_strings(&self) -> &[&str] {
        &[RESULTS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::check;
    use ViolationKind::{Empty, ForgedObservation, InvalidJson, Unterminated};

    #[test]
    fn completions_parse() {
        let check = |text: &str, expect: &[_]| check(&Mistral::default(), text, expect);
        check("no call", &[]);
        check(r#"[TOOL_CALLS] [{"name": "f", "arguments": {"x": "]"}}]"#, &[Ok(r#"f {"x":"]"}"#)]);
        check(
            r#"[TOOL_CALLS][{"name":"f","arguments":{}},{"name":"g","arguments":{}}]"#,
            &[Ok("f {}"), Ok("g {}")],
        );
        check(r#"a[TOOL_CALLS]f[ARGS]{"x": 1}"#, &[Ok(r#"f {"x":1}"#)]);
        check("[TOOL_CALLS]f[ARGS]{}[TOOL_CALLS]g[ARGS]{}", &[Ok("f {}"), Ok("g {}")]);
        check("[TOOL_CALLS] []", &[Err(Empty)]);
        check(r#"[TOOL_CALLS] [{"name": "f"}]"#, &[Err(InvalidJson)]);
        check("[TOOL_CALLS]f[ARGS][1]", &[Err(InvalidJson)]);
        check(r#"[TOOL_CALLS] [{"name": "f""#, &[Err(Unterminated)]);
        check("[TOOL_RESULTS]4", &[Err(ForgedObservation)]);
    }
}
