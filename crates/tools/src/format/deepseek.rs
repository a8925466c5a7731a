//! Reads DeepSeek's calls between `<｜tool▁call▁begin｜>` and `<｜tool▁call▁end｜>`: `function<sep>NAME` and a
//! block of JSON in V3 and R1, `NAME<sep>{…}` in V3.1.

use turnwise_trajectory::{ToolCall, ViolationKind};

use super::CallFormat;
use super::found_call::{Found, malformed};
use super::grammar::{Grammar, Marker, forged_observation, inside, never_opened};
use super::json::{read_arguments, spaced};
use super::quotes::Quotes;
use super::scan::{Gate, Scan, Section, Tagged};
use crate::spec::ToolSpec;

const OPEN: &str = "<｜tool▁call▁begin｜>";
const CLOSE: &str = "<｜tool▁call▁end｜>";
const SEPARATOR: &str = "<｜tool▁sep｜>";
const SECTION: &str = "<｜tool▁calls▁begin｜>";
const SECTION_END: &str = "<｜tool▁calls▁end｜>";
const LETTERS: &str = "<|tool▁call▁begin|>";
const LETTERS_END: &str = "<|tool▁call▁end|>";
/// Markers of other versions: with another bar, as other letters, and those of V3.2 and V4, also without the
/// list around calls.
const OTHERS: [(&str, &str); 7] = [
    (LETTERS, LETTERS_END),
    ("<｜DSML｜function_calls>", "</｜DSML｜function_calls>"),
    ("<｜DSML｜tool_calls>", "</｜DSML｜tool_calls>"),
    ("<｜DSML｜invoke name=", "</｜DSML｜invoke>"),
    ("<|DSML|function_calls>", "</|DSML|function_calls>"),
    ("<|DSML|tool_calls>", "</|DSML|tool_calls>"),
    ("<|DSML|invoke name=", "</|DSML|invoke>"),
];
const OUTPUT: &str = "<｜tool▁output▁begin｜>";
const OUTPUTS: &str = "<｜tool▁outputs▁begin｜>";

/// Reads and writes the calls of the DeepSeek family. It reads both versions and writes `version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeepSeek {
    /// The version to write.
    pub version: Version,
}

/// Names a style of the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// V3 and R1.
    #[default]
    V3,
    /// V3.1.
    V31,
}

const MARKERS: &[Marker] = &[
    Marker::call(OPEN),
    // A call without its opening marker.
    Marker::call(SEPARATOR),
    Marker::call(SECTION),
    Marker::call(OTHERS[0].0),
    Marker::call(OTHERS[1].0),
    Marker::call(OTHERS[2].0),
    Marker::call(OTHERS[3].0),
    Marker::call(OTHERS[4].0),
    Marker::call(OTHERS[5].0),
    Marker::call(OTHERS[6].0),
    Marker::stray(CLOSE),
    Marker::forged(OUTPUTS),
    Marker::forged(OUTPUT),
];

impl Grammar for DeepSeek {
    fn markers(&self) -> &'static [Marker] {
        MARKERS
    }

    fn scan(&self, marker: usize, raw: bool) -> Scan {
        match MARKERS[marker].text {
            OPEN => Scan::Tagged(Tagged::json(OPEN, CLOSE, Gate::Behind(SEPARATOR), raw)),
            SEPARATOR => Scan::Tagged(Tagged::json(OPEN, CLOSE, Gate::Open, raw)),
            SECTION => Scan::Section(Section::new(SECTION_END)),
            LETTERS => Scan::Tagged(Tagged::json(LETTERS, LETTERS_END, Gate::Behind("<|tool▁sep|>"), raw)),
            text => match other(text) {
                Some((open, close)) => Scan::Tagged(Tagged::new(open, close, Quotes::None, Gate::Open)),
                None => Scan::Marker,
            },
        }
    }

    fn read(&self, marker: usize, text: &str, offset: usize) -> Vec<Found> {
        let span = offset..offset + text.len();
        let wrong = |kind, message: String| vec![malformed(kind, message, span.clone())];
        match MARKERS[marker].text {
            OPEN => {}
            SEPARATOR => return wrong(ViolationKind::InvalidJson, format!("there's no {OPEN}")),
            SECTION => return wrong(ViolationKind::Empty, format!("there's no {OPEN} in the section")),
            CLOSE => return never_opened(text, offset),
            marker if other(marker).is_some() => {
                return wrong(ViolationKind::InvalidJson, format!("a call without {OPEN}"));
            }
            _ => return forged_observation(text, offset),
        }
        let body = inside(text, OPEN, CLOSE).trim();
        if body.is_empty() {
            return wrong(ViolationKind::Empty, "the call is empty".into());
        }
        let Some((head, rest)) = body.split_once(SEPARATOR) else {
            return wrong(ViolationKind::InvalidJson, format!("there's no {SEPARATOR}"));
        };
        // V3.1 has the name first. V3 has the kind of tool there, and the name on the line after.
        match rest.trim_start().split_once(['\n', '{']) {
            Some((name, _)) if head.trim() == "function" && !name.is_empty() => {
                let name = name.split("```").next().unwrap_or(name);
                let arguments = &rest[rest.find(name).unwrap_or(0) + name.len()..];
                vec![read_arguments(name.trim(), unfenced(arguments), span)]
            }
            _ => vec![read_arguments(head.trim(), unfenced(rest), span)],
        }
    }

    fn closing(&self, marker: usize) -> &'static str {
        other(MARKERS[marker].text).map_or(CLOSE, |(_, close)| close)
    }
}

/// Returns the markers of a call of another version.
fn other(open: &str) -> Option<(&'static str, &'static str)> {
    OTHERS.into_iter().find(|(other, _)| *other == open)
}

/// Returns the arguments without a fence around the JSON.
fn unfenced(text: &str) -> &str {
    let Some(fenced) = text.trim().strip_prefix("```") else { return text };
    let body = fenced.strip_suffix("```").unwrap_or(fenced);
    body.find('{')
        .filter(|at| body[..*at].trim().chars().all(char::is_alphanumeric))
        .map_or(body, |at| &body[at..])
}

impl CallFormat for DeepSeek {
    fn name(&self) -> &'static str {
        match self.version {
            Version::V3 => "deepseek",
            Version::V31 => "deepseek:v3.1",
        }
    }

    fn grammar(&self) -> &'static dyn Grammar {
        match self.version {
            Version::V3 => &DeepSeek { version: Version::V3 },
            Version::V31 => &DeepSeek { version: Version::V31 },
        }
    }

    fn describe(&self, tools: &[ToolSpec]) -> String {
        let tools: Vec<String> = tools.iter().map(spaced).collect();
        let example = ToolCall { name: "NAME".into(), arguments: serde_json::Map::new(), span: 0..0 };
        format!("## Tools\n\n{}\n\nTo call one, write:\n\n{}", tools.join("\n"), self.render(&example))
    }

    fn render(&self, call: &ToolCall) -> String {
        let (name, arguments) = (&call.name, spaced(&call.arguments));
        let call = match self.version {
            Version::V3 => format!("{OPEN}function{SEPARATOR}{name}\n```json\n{arguments}\n```{CLOSE}"),
            Version::V31 => format!("{OPEN}{name}{SEPARATOR}{arguments}{CLOSE}"),
        };
        format!("<｜tool▁calls▁begin｜>{call}<｜tool▁calls▁end｜>")
    }

    fn render_output(&self, output: &str) -> String {
        match self.version {
            Version::V3 => {
                format!("{OUTPUTS}{OUTPUT}{output}<｜tool▁output▁end｜><｜tool▁outputs▁end｜>")
            }
            Version::V31 => format!("{OUTPUT}{output}<｜tool▁output▁end｜>"),
        }
    }

    fn stop_strings(&self) -> &[&str] {
        &[OUTPUTS, OUTPUT]
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
            let text = text.replace("B>", OPEN).replace("E>", CLOSE).replace("S>", SEPARATOR);
            check(&DeepSeek::default(), &text, expect);
        };
        check("no call", &[]);
        check("B>functionS>f\n```json\n{\"x\": \"```\"}\n```E>", &[Ok(r#"f {"x":"```"}"#)]);
        check("B>fS>{\"x\": 1}E>B>gS>{}E>", &[Ok(r#"f {"x":1}"#), Ok("g {}")]);
        check("B>E>", &[Err(Empty)]);
        check("B>f {}E>", &[Err(InvalidJson)]);
        check("B>S>{}E>", &[Err(InvalidJson)]);
        check("B>fS>{\"x\": 1", &[Err(Unterminated)]);
        check("B>fS>{\"x\": \"E>\"}E>", &[Ok("f {\"x\":\"<｜tool▁call▁end｜>\"}")]);
        check("<｜tool▁output▁begin｜>4", &[Err(ForgedObservation)]);
    }
}
