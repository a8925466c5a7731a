//! Reads blocks of Python in the text as calls of the tool `python`.
//!
//! | profile | a call | what the environment writes |
//! |---|---|---|
//! | `torl` (arXiv:2503.23383) | ```` ```python ```` … ```` ``` ```` | ```` ```output ```` … ```` ``` ```` |
//! | `simple_tir` (arXiv:2509.02479) | ```` ```python ```` … ```` ``` ```` | `Code execution result: …` |
//! | `re_tool` (arXiv:2504.11536) | `<code>` ```` ```python ```` … ```` ``` ```` `</code>` | `<interpreter>` … `</interpreter>` |
//!
//! Fences follow `CommonMark`: they may be indented (in a list), longer than three characters, or made of
//! tildes. The language may be written `python`, `py`, `Python`, `python3.11`, `ipython`, `tool_code` and the
//! like.

use std::ops::Range;

use serde_json::{Map, Value};
use turnwise_trajectory::{ToolCall, ViolationKind};

use super::CallFormat;
use super::found_call::{Found, malformed};
use super::grammar::{Grammar, Marker, Place, Role, forged_observation};
use super::quotes::{PythonQuotes, Quotes};
use super::scan::{Block, Fence, Gate, Scan, Tagged};
use super::thought::{THOUGHTS, Thought};
use crate::spec::ToolSpec;

/// Reads a block of Python as a call of `python` with its text as `code`. The closing fence stands at the
/// start of a line, outside string literals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FencedPython {
    /// The conventions to follow.
    pub profile: Profile,
}

/// Names a published convention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// Those of ToRL.
    #[default]
    Torl,
    /// Those of SimpleTIR.
    SimpleTir,
    /// Those of ReTool.
    ReTool,
}

const FENCE: &str = "\n```";
const CODE: &str = "<code>";
const INTERPRETER: &str = "<interpreter>";
const BACKTICKS: Marker = Marker::bracket("```", Place::LineStart);
const TILDES: Marker = Marker::bracket("~~~", Place::LineStart);
const IN_PROSE: Marker = Marker::bracket("```", Place::Anywhere);

impl FencedPython {
    fn marker(self, index: usize) -> Marker {
        self.markers()[index]
    }
}

impl Grammar for FencedPython {
    fn markers(&self) -> &'static [Marker] {
        const TORL: &[Marker] = &[Marker::forged("```output"), BACKTICKS, TILDES, IN_PROSE];
        const SIMPLE_TIR: &[Marker] =
            &[Marker::forged("Code execution result:"), BACKTICKS, TILDES, IN_PROSE];
        const RE_TOOL: &[Marker] = &[Marker::call(CODE), Marker::forged(INTERPRETER)];
        match self.profile {
            Profile::Torl => TORL,
            Profile::SimpleTir => SIMPLE_TIR,
            Profile::ReTool => RE_TOOL,
        }
    }

    fn scan(&self, marker: usize, raw: bool) -> Scan {
        let marker = self.marker(marker);
        let quotes = if raw { Quotes::None } else { Quotes::Python(PythonQuotes::default()) };
        match self.profile {
            // ToRL's stop string is such a marker, so the model may write it at its very end.
            _ if marker.role == Role::Forged => Scan::AnyText,
            Profile::ReTool => Scan::Tagged(Tagged::new(CODE, "</code>", quotes, Gate::Open)),
            Profile::Torl | Profile::SimpleTir => {
                Scan::Fence(Fence::new(marker.text.as_bytes()[0], marker.place == Place::LineStart, raw))
            }
        }
    }

    fn read(&self, marker: usize, text: &str, offset: usize) -> Vec<Found> {
        if self.marker(marker).role == Role::Forged {
            return forged_observation(text, offset);
        }
        let span = offset..offset + text.len();
        let code = match self.profile {
            Profile::ReTool => {
                let body = text.strip_prefix(CODE).unwrap_or(text);
                let body = body.strip_suffix("</code>").unwrap_or(body).trim_matches(['\n', '\r']);
                Block::new(body).map_or_else(|| body.to_string(), |block| block.code())
            }
            Profile::Torl | Profile::SimpleTir => match Block::new(text) {
                Some(block) => block.code(),
                None => return Vec::new(),
            },
        };
        vec![python(&code, span)]
    }

    fn recover(&self, marker: usize, text: &str, offset: usize) -> Option<ToolCall> {
        // An open block ends with the text.
        self.read(marker, text, offset).pop()?.verdict.ok()
    }

    fn closing(&self, _: usize) -> &'static str {
        match self.profile {
            Profile::ReTool => "</code>",
            Profile::Torl | Profile::SimpleTir => FENCE,
        }
    }

    fn is_attempt(&self, _: usize, text: &str) -> bool {
        self.profile == Profile::ReTool || Block::new(text).is_some()
    }

    fn thoughts(&self) -> &'static [Thought] {
        // ReTool's models compute in the middle of their thoughts.
        if self.profile == Profile::ReTool { &[] } else { THOUGHTS }
    }
}

fn python(code: &str, span: Range<usize>) -> Found {
    if code.trim().is_empty() {
        return malformed(ViolationKind::Empty, "the block is empty", span);
    }
    let arguments = Map::from_iter([("code".to_string(), Value::from(code))]);
    Found { verdict: Ok(ToolCall { name: "python".into(), arguments, span }), recovered: None }
}

impl CallFormat for FencedPython {
    fn name(&self) -> &'static str {
        match self.profile {
            Profile::Torl => "fenced_python",
            Profile::SimpleTir => "fenced_python:simple_tir",
            Profile::ReTool => "fenced_python:re_tool",
        }
    }

    fn grammar(&self) -> &'static dyn Grammar {
        match self.profile {
            Profile::Torl => &FencedPython { profile: Profile::Torl },
            Profile::SimpleTir => &FencedPython { profile: Profile::SimpleTir },
            Profile::ReTool => &FencedPython { profile: Profile::ReTool },
        }
    }

    fn describe(&self, _tools: &[ToolSpec]) -> String {
        let call = self.render_code("print(1 + 1)");
        let output = self.render_output("2");
        format!(
            "To run Python code, write it in a block:\n{call}\nWhat it prints is then shown to you:\n{output}"
        )
    }

    fn render(&self, call: &ToolCall) -> String {
        self.render_code(call.arguments.get("code").and_then(Value::as_str).unwrap_or_default())
    }

    fn render_output(&self, output: &str) -> String {
        match self.profile {
            Profile::Torl => format!("```output\n{output}\n```"),
            Profile::SimpleTir => format!("Code execution result: {output}"),
            Profile::ReTool => format!("{INTERPRETER}\n{output}\n</interpreter>"),
        }
    }

    fn stop_strings(&self) -> &[&str] {
        match self.profile {
            Profile::Torl => &["```output"],
            Profile::SimpleTir => &["Code execution result:"],
            Profile::ReTool => &[INTERPRETER],
        }
    }
}

impl FencedPython {
    fn render_code(self, code: &str) -> String {
        let fence = "`".repeat(longest_fence(code).max(2) + 1);
        match self.profile {
            Profile::Torl | Profile::SimpleTir => format!("{fence}python\n{code}\n{fence}"),
            Profile::ReTool => format!("{CODE}\n{fence}python\n{code}\n{fence}\n</code>"),
        }
    }
}

/// Returns the length of the longest fence in the code. The fence around it must be longer.
fn longest_fence(code: &str) -> usize {
    let backticks = |line: &str| {
        let line = line.trim_start_matches([' ', '\t']);
        line.len() - line.trim_start_matches('`').len()
    };
    code.split('\n').map(backticks).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::check;
    use ViolationKind::{Empty, ForgedObservation, Unterminated};

    const TORL: FencedPython = FencedPython { profile: Profile::Torl };
    const SIMPLE_TIR: FencedPython = FencedPython { profile: Profile::SimpleTir };
    const RE_TOOL: FencedPython = FencedPython { profile: Profile::ReTool };

    #[test]
    fn completions_parse() {
        check(&TORL, "no call", &[]);
        check(&TORL, "```python\nx = 1\n```", &[Ok(r#"python {"code":"x = 1"}"#)]);
        check(&TORL, "```python\n```", &[Err(Empty)]);
        check(&TORL, "```python\nx", &[Err(Unterminated)]);
        check(&TORL, "```text\nx\n```", &[]);
        check(&TORL, "```python\nx\n```python\ny\n```", &[Err(Unterminated), Ok(r#"python {"code":"y"}"#)]);
        check(&SIMPLE_TIR, "```py\nx\n```", &[Ok(r#"python {"code":"x"}"#)]);
        for info in [
            "Python3",
            "python:main.py",
            "python {.x}",
            "{.python .x}",
            "python=1",
            "py,ignore",
            "python3.11",
            "Python3.12 {.x}",
            "IPython",
            "ipython3",
            "tool_code",
        ] {
            check(&TORL, &format!("```{info}\nx\n```"), &[Ok(r#"python {"code":"x"}"#)]);
        }
        let other =
            ["python*1055", "pythonic", "python2.7", "py.test", "python-repl", "python3.", "python3.x"];
        for info in other.into_iter().chain(["ipython-input", "tool_output", "tool_coder", "python3.11.x"]) {
            check(&TORL, &format!("```{info}\nx\n```"), &[]);
        }
        check(&RE_TOOL, "<code>\n```python\nx\n```\n</code>", &[Ok(r#"python {"code":"x"}"#)]);
        check(&RE_TOOL, "<code>x</code>", &[Ok(r#"python {"code":"x"}"#)]);
    }

    #[test]
    fn a_fence_inside_a_string_does_not_fire() {
        check(&TORL, "```python\nx = '''\n```\n'''\n```", &[Ok(r#"python {"code":"x = '''\n```\n'''"}"#)]);
        check(
            &TORL,
            "```python\n# don't\nx = 'it\\'s ```'\n```",
            &[Ok(r##"python {"code":"# don't\nx = 'it\\'s ```'"}"##)],
        );
        check(&RE_TOOL, "<code>x = '</code>'</code>", &[Ok(r#"python {"code":"x = '</code>'"}"#)]);
        // A literal that is never closed can't swallow the rest.
        check(
            &TORL,
            "```python\nx = '''\n```\n```python\ny\n```",
            &[Ok(r#"python {"code":"x = '''"}"#), Ok(r#"python {"code":"y"}"#)],
        );
    }

    #[test]
    fn an_output_of_its_own_is_a_violation_and_a_stop_string_is_not() {
        let code = Ok(r#"python {"code":"x"}"#);
        check(&TORL, "```python\nx\n```\n```output", &[code]);
        check(&TORL, "```python\nx\n```\n```output\n4\n```", &[code, Err(ForgedObservation)]);
        check(&RE_TOOL, "<code>x</code><interpreter>4", &[code, Err(ForgedObservation)]);
        check(&SIMPLE_TIR, "```py\nx\n```\nCode execution result: 4", &[code, Err(ForgedObservation)]);
    }
}
