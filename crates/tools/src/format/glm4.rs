//! Reads the calls of GLM-4 (0414): the name of a tool on a line, and a JSON object on the next.

use turnwise_trajectory::ToolCall;

use super::CallFormat;
use super::found_call::Found;
use super::grammar::{Grammar, Marker, Place, forged_observation};
use super::json::{read_arguments, spaced};
use super::scan::{JsonValue, Scan};
use crate::spec::ToolSpec;

const OBJECT: &str = "{";
const KEY: &str = "{\"";
/// Models put a fence around the object.
const FENCE: &str = "```json";
pub(super) const OBSERVATION: &str = "<|observation|>";

/// Reads and writes the calls of GLM-4. No marker opens a call: an object is one if a line with a name is
/// before it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Glm4;

const MARKERS: &[Marker] = &[
    Marker::bracket(OBJECT, Place::LineStart),
    Marker::bracket(KEY, Place::AfterName),
    ENDING,
    Marker::forged(OBSERVATION),
];

/// The model's own end of a turn with calls. Text after it is forged.
pub(super) const ENDING: Marker = Marker { place: Place::AfterCall, ..Marker::forged(OBSERVATION) };

/// Maximum of bytes in a name and the blanks around it.
const MAX_HEAD: usize = 256;

impl Grammar for Glm4 {
    fn markers(&self) -> &'static [Marker] {
        MARKERS
    }

    fn scan(&self, marker: usize, raw: bool) -> Scan {
        match MARKERS[marker].text {
            OBJECT | KEY => Scan::Value(JsonValue::new(&[], raw).unless_prose()),
            _ if MARKERS[marker].place == Place::AfterCall => Scan::AnyText,
            _ => Scan::Marker,
        }
    }

    fn head(&self, before: &[u8]) -> usize {
        let from = before.len().saturating_sub(MAX_HEAD);
        let tail = &before[from..];
        let whole = tail.trim_ascii_end();
        let line = without_fence(whole);
        // At most one empty line stands between the name and the object.
        let near = whole[line.len()..].is_empty()
            && tail[line.len()..].split(|byte| *byte == b'\n').nth(3).is_none()
            || tail[whole.len()..].split(|byte| *byte == b'\n').nth(2).is_none();
        let name = line.iter().rev().take_while(|byte| in_name(**byte)).count();
        let rest = &line[..line.len() - name];
        let begins = match rest.iter().rev().find(|byte| !matches!(byte, b' ' | b'\t')) {
            None => from == 0,
            Some(byte) => matches!(byte, b'\n' | b'>'),
        };
        if name > 0 && near && begins { tail.len() - rest.len() } else { 0 }
    }

    fn read(&self, marker: usize, text: &str, offset: usize) -> Vec<Found> {
        if MARKERS[marker].text == OBSERVATION {
            return forged_observation(text, offset);
        }
        let span = offset..offset + text.len();
        match text.find(OBJECT) {
            Some(at) if self.is_attempt(marker, text) => {
                let name = std::str::from_utf8(without_fence(text[..at].trim().as_bytes())).unwrap_or("");
                vec![read_arguments(name, &text[at..], span)]
            }
            _ => Vec::new(),
        }
    }

    fn closing(&self, _: usize) -> &'static str {
        "}"
    }

    fn is_attempt(&self, _: usize, text: &str) -> bool {
        !text.starts_with(OBJECT)
    }
}

/// Returns a text without the fence at its end, which may be cut off.
fn without_fence(text: &[u8]) -> &[u8] {
    let line = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let last = &text[line..];
    if !last.is_empty() && FENCE.as_bytes().starts_with(last) { text[..line].trim_ascii_end() } else { text }
}

fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/') || !byte.is_ascii()
}

impl CallFormat for Glm4 {
    fn name(&self) -> &'static str {
        "glm4"
    }

    fn grammar(&self) -> &'static dyn Grammar {
        &Glm4
    }

    fn describe(&self, tools: &[ToolSpec]) -> String {
        let tool = |tool: &ToolSpec| {
            format!(
                "## {}\n\n{}\nTo call it, write its name on a line and its arguments as a JSON object on the next.",
                tool.name,
                spaced(tool)
            )
        };
        let tools: Vec<String> = tools.iter().map(tool).collect();
        format!("# Tools\n\n{}", tools.join("\n\n"))
    }

    fn render(&self, call: &ToolCall) -> String {
        format!("{}\n{}", call.name, spaced(&call.arguments))
    }

    fn render_output(&self, output: &str) -> String {
        format!("{OBSERVATION}\n{output}")
    }

    fn stop_strings(&self) -> &[&str] {
        &[OBSERVATION]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::check;
    use turnwise_trajectory::ViolationKind::{ForgedObservation, InvalidJson, Unterminated};

    #[test]
    fn completions_parse() {
        let check = |text: &str, expect: &[_]| check(&Glm4, text, expect);
        check("no call", &[]);
        check("f\n{\"x\": 1}", &[Ok(r#"f {"x":1}"#)]);
        check("Let me see.\nget_weather\n{}", &[Ok("get_weather {}")]);
        check("f\n{\"x\": \"}\"}\ng \n {}", &[Ok(r#"f {"x":"}"}"#), Ok("g {}")]);
        check("f\n{}<|assistant|>g\n{}", &[Ok("f {}"), Ok("g {}")]);
        check("f\n{\"x\": 1,}", &[Err(InvalidJson)]);
        check("f\n{\"x\": ", &[Err(Unterminated)]);
        for answer in
            ["{\"x\": 1}", "The result:\n{\"x\": 1}", "a b\n{\"x\": 1}", "f\n\n\n{\"x\": 1}", "f {\"x\": 1}"]
        {
            check(answer, &[]);
        }
        check("<|observation|>\n4", &[Err(ForgedObservation)]);
    }

    #[test]
    fn a_name_is_not_settled_before_the_line_after_it() {
        let mut lexer = Glm4.lexer();
        lexer.push(b"Let me see.\nget_w");
        assert_eq!(lexer.settled(), "Let me see.\n".len());
        lexer.push(b"eather\n");
        assert_eq!(lexer.settled(), "Let me see.\n".len());
        lexer.push(b"{\"x\": 1");
        assert_eq!(lexer.settled(), "Let me see.\n".len());
        assert!(lexer.is_inside());
        let found = lexer.push(b"}");
        assert_eq!(found[0].span(), "Let me see.\n".len()..32);
        assert_eq!(lexer.settled(), 32);
    }
}
