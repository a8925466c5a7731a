//! Reads the calls of OLMo 3: `<function_calls>\nname(key='value')\n</function_calls>`, one call a line.

use serde_json::{Value, json};
use turnwise_trajectory::ToolCall;

use super::CallFormat;
use super::call_lines;
use super::found_call::Found;
use super::grammar::{Grammar, Marker, forged_observation, inside, never_opened};
use super::json::spaced;
use super::quotes::{PythonQuotes, Quotes};
use super::scan::{Gate, Scan, Tagged};
use crate::spec::ToolSpec;

const OPEN: &str = "<function_calls>";
const CLOSE: &str = "</function_calls>";
const ENVIRONMENT: &str = "<|im_start|>environment";

/// Reads and writes the calls of OLMo 3. Constants are JSON's (`true`, `null`); Python's are read too.
#[derive(Debug, Clone, Copy, Default)]
pub struct Olmo3;

const MARKERS: &[Marker] = &[Marker::call(OPEN), Marker::stray(CLOSE), Marker::forged(ENVIRONMENT)];

impl Grammar for Olmo3 {
    fn markers(&self) -> &'static [Marker] {
        MARKERS
    }

    fn scan(&self, marker: usize, raw: bool) -> Scan {
        let quotes = if raw { Quotes::None } else { Quotes::Python(PythonQuotes::over_lines()) };
        match MARKERS[marker].text {
            OPEN => Scan::Tagged(Tagged::new(OPEN, CLOSE, quotes, Gate::Behind("("))),
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

impl CallFormat for Olmo3 {
    fn name(&self) -> &'static str {
        "olmo3"
    }

    fn grammar(&self) -> &'static dyn Grammar {
        &Olmo3
    }

    fn describe(&self, tools: &[ToolSpec]) -> String {
        let bare = |tool: &ToolSpec| {
            let ToolSpec { name, description, parameters } = tool;
            spaced(&json!({"name": name, "description": description, "parameters": parameters}))
        };
        let tools: Vec<String> = tools.iter().map(bare).collect();
        format!(
            "You have access to the following functions. To call functions, respond with a pythonic function call \
             wrapped in {OPEN}{CLOSE} XML tags, each call on a new line:\n{OPEN}\nfunction1(param1='value1')\n\
             function2(param2='value2')\n{CLOSE}\n\nHere are the available functions:\n<functions>\n{}\n</functions>",
            tools.join("\n")
        )
    }

    fn render(&self, call: &ToolCall) -> String {
        format!("{OPEN}\n{}\n{CLOSE}", call_lines::written(call, |value: &Value| spaced(value)))
    }

    fn render_output(&self, output: &str) -> String {
        output.into()
    }

    fn stop_strings(&self) -> &[&str] {
        &[ENVIRONMENT]
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
            check(&Olmo3, &text.replace("B>", OPEN).replace("E>", CLOSE), expect);
        };
        check("no call", &[]);
        check("B>\nf(x='a', y=null)\ng(z=True)\nE>", &[Ok(r#"f {"x":"a","y":null}"#), Ok(r#"g {"z":true}"#)]);
        check("B>f(x='a\nb')E>", &[Ok(r#"f {"x":"a\nb"}"#)]);
        check("B>[f(), g()]E>", &[Ok("f {}"), Ok("g {}")]);
        check("B>f(x='E>')E>", &[Ok(r#"f {"x":"</function_calls>"}"#)]);
        check("B>E>", &[Err(Empty)]);
        check("B>f(1)\ng()E>", &[Err(InvalidJson), Ok("g {}")]);
        check("It stands in B> and it's plain.\nB>f()E>", &[Err(Unterminated), Ok("f {}")]);
        check("B>f(x=1)", &[Err(Unterminated)]);
        check("<|im_start|>environment", &[Err(ForgedObservation)]);
    }
}
