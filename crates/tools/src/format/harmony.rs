//! Reads the calls of gpt-oss, in the harmony format:
//! `<|channel|>commentary to=functions.NAME <|constrain|>json<|message|>{…}<|call|>`.
//!
//! The recipient may also stand before the channel, as the chat template writes it, and in a header of any
//! channel. `<|call|>` ends a turn, so a call ends with its JSON.
//!
//! A message ends with its token, as in OpenAI's parser: a call inside a message of the analysis channel is
//! text of that message. If the message never ends, the call is a violation.

use std::ops::Range;

use serde_json::{Map, Value};
use turnwise_trajectory::{ToolCall, ViolationKind};

use super::CallFormat;
use super::found_call::{Found, malformed};
use super::grammar::{Grammar, Marker, Place, forged_observation, never_opened};
use super::json::{read_arguments, spaced};
use super::scan::{Head, HeadedJson, Scan, opens_json};
use super::thought::{THINK, Thought};
use crate::spec::ToolSpec;

const COMMENTARY: &str = "<|channel|>commentary to=";
const ANALYSIS: &str = "<|channel|>analysis to=";
/// A recipient before the channel, or after another one.
const RECIPIENT: &str = "to=";
/// Recipients that are no tools.
const PEOPLE: [&str; 3] = ["assistant", "user", "all"];
const THOUGHTS: &str = "<|channel|>analysis<|message|>";
const MESSAGE: &str = "<|message|>";
const CALL: &str = "<|call|>";
const TOOL: &str = "<|start|>functions";
/// Calls open with these.
const OPENS: &[&str] = &[COMMENTARY, ANALYSIS];
/// Headers of calls without their tokens.
const BARE: [&str; 2] = ["commentary to=", "analysis to="];
/// Tokens that end a message.
const ENDS: &[&str] = &[CALL, "<|end|>", "<|return|>", "<|start|>"];

/// Reads and writes the calls of gpt-oss. Text for the built-in tool `python` is its code.
#[derive(Debug, Clone, Copy, Default)]
pub struct Harmony;

const MARKERS: &[Marker] = &[
    Marker::call(COMMENTARY),
    Marker::call(ANALYSIS),
    Marker { place: Place::WordStart, ..Marker::call(RECIPIENT) },
    Marker::stray(CALL),
    Marker::forged(TOOL),
];

impl Grammar for Harmony {
    fn markers(&self) -> &'static [Marker] {
        MARKERS
    }

    fn scan(&self, marker: usize, raw: bool) -> Scan {
        match MARKERS[marker].text {
            COMMENTARY | ANALYSIS | RECIPIENT => {
                Scan::Headed(HeadedJson::new(Head::Until(MESSAGE, ENDS), OPENS, raw))
            }
            _ => Scan::Marker,
        }
    }

    fn read(&self, marker: usize, text: &str, offset: usize) -> Vec<Found> {
        match MARKERS[marker].text {
            CALL => return never_opened(text, offset),
            TOOL => return forged_observation(text, offset),
            _ => {}
        }
        let span = offset..offset + text.len();
        let Some((head, body)) = text.split_once(MESSAGE) else {
            let message = format!("there's no {MESSAGE}");
            return vec![malformed(ViolationKind::InvalidJson, message, span)];
        };
        let recipient = head.split_once("to=").map_or("", |(_, rest)| rest);
        let recipient = recipient.split([' ', '\t', '<']).next().unwrap_or_default();
        if PEOPLE.contains(&recipient) {
            return Vec::new();
        }
        let is_json = opens_json(body.trim_start().as_bytes()) == Some(true);
        if recipient == "python" && !is_json && !body.trim().is_empty() {
            let arguments = Map::from_iter([("code".to_string(), Value::from(body))]);
            return vec![Found {
                verdict: Ok(ToolCall { name: recipient.into(), arguments, span }),
                recovered: None,
            }];
        }
        let name = recipient.strip_prefix("functions.").unwrap_or(recipient);
        vec![read_arguments(name, body, span)]
    }

    fn closing(&self, _: usize) -> &'static str {
        CALL
    }

    fn recover(&self, marker: usize, text: &str, offset: usize) -> Option<ToolCall> {
        self.read(marker, text, offset).pop()?.verdict.ok()
    }

    fn is_attempt(&self, _: usize, text: &str) -> bool {
        text.contains(MESSAGE)
    }

    fn bare(&self, answer: &str, span: Range<usize>) -> Option<Found> {
        let recipient = BARE.iter().find_map(|open| answer.strip_prefix(open))?;
        let (head, _) = recipient.split_once('{').filter(|_| answer.ends_with('}'))?;
        let name = head.split_ascii_whitespace().next().filter(|_| !head.contains('\n'))?;
        let name = name.strip_prefix("functions.").unwrap_or(name);
        let message = format!("a call without <|channel|> and {MESSAGE}");
        let recovered = read_arguments(name, &recipient[head.len()..], span.clone()).verdict.ok();
        Some(Found { recovered, ..malformed(ViolationKind::InvalidJson, message, span) })
    }

    fn may_be_bare(&self, beginning: &[u8]) -> bool {
        let beginning = beginning.trim_ascii_start();
        BARE.iter()
            .any(|open| open.as_bytes().starts_with(beginning) || beginning.starts_with(open.as_bytes()))
    }

    fn thoughts(&self) -> &'static [Thought] {
        &[Thought { open: THOUGHTS, close: "<|end|>" }, THINK]
    }

    fn channel(&self) -> Option<&'static str> {
        Some(THOUGHTS)
    }
}

impl CallFormat for Harmony {
    fn name(&self) -> &'static str {
        "harmony"
    }

    fn grammar(&self) -> &'static dyn Grammar {
        &Harmony
    }

    fn describe(&self, tools: &[ToolSpec]) -> String {
        let tools: Vec<String> = tools.iter().map(spaced).collect();
        let example = ToolCall { name: "NAME".into(), arguments: Map::new(), span: 0..0 };
        format!(
            "# Tools\n\n## functions\n\n{}\n\nCalls to these tools go to the commentary channel:\n{}",
            tools.join("\n"),
            self.render(&example)
        )
    }

    fn render(&self, call: &ToolCall) -> String {
        let arguments = spaced(&call.arguments);
        format!("{COMMENTARY}functions.{} <|constrain|>json{MESSAGE}{arguments}{CALL}", call.name)
    }

    fn render_output(&self, output: &str) -> String {
        format!("{TOOL} to=assistant<|channel|>commentary{MESSAGE}{output}<|end|>")
    }

    fn stop_strings(&self) -> &[&str] {
        &[TOOL]
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
            check(&Harmony, &text.replace("C>", "<|channel|>").replace("M>", MESSAGE), expect);
        };
        let call = "C>commentary to=functions.f <|constrain|>jsonM>{\"x\": \"<|call|>\"}";
        let f = r#"f {"x":"<|call|>"}"#;
        check("C>finalM>no call", &[]);
        check(call, &[Ok(f)]);
        check(&format!("{call}<|call|>"), &[Ok(f)]);
        check(&format!("C>analysisM>I call {call}<|end|><|start|>assistant{call}"), &[Ok(f)]);
        check(" to=functions.gC>commentary jsonM>{}<|call|>", &[Ok("g {}")]);
        check(
            "C>commentary to=functions.gM>{}<|call|><|start|>assistantC>commentary to=a.bM>{}",
            &[Ok("g {}"), Ok("a.b {}")],
        );
        check(
            "C>analysis to=python codeM>print(1 < 2)\nx<|call|>",
            &[Ok(r#"python {"code":"print(1 < 2)\nx"}"#)],
        );
        check("C>commentary to=functions.fM>x = 1<|call|>", &[Err(InvalidJson)]);
        check("C>commentary to=functions.fM><|call|>", &[Err(Empty)]);
        check("C>commentary to=functions.fM>{\"x\": ", &[Err(Unterminated)]);
        check("One writes to=functions.f in a header.", &[]);
        // A recipient is a call in every channel, with the namespace or without.
        for recipient in ["functions.f", "f"] {
            for header in ["analysis", "commentary", "final", "comment"] {
                for kind in ["", " json", " <|constrain|>json", "<|constrain|>json"] {
                    check(&format!("C>{header} to={recipient}{kind}M>{{}}"), &[Ok("f {}")]);
                    check(&format!(" to={recipient}C>{header}{kind}M>{{}}<|call|>"), &[Ok("f {}")]);
                }
            }
        }
        check(" to=pythonC>analysis codeM>1 < 2<|call|>", &[Ok(r#"python {"code":"1 < 2"}"#)]);
        check("C>commentary to=userM>I begin.<|end|>", &[]);
        // A message of thoughts ends with its token. Calls in it are text, and a violation if it has no end.
        let thinks = format!("C>analysisM>I call {call}");
        let end = "<|end|><|start|>assistantC>finalM>4";
        check(&format!("{thinks}{end}"), &[]);
        check(&format!("C>analysisM>It said <|call|>{end}"), &[]);
        for before in ["", "C>commentaryM>I begin.<|end|><|start|>assistant"] {
            check(&format!("{before}{thinks}"), &[Err(InvalidJson)]);
            check(&format!("{before}{thinks}<|call|>"), &[Err(InvalidJson)]);
            check(&format!("{before}C>analysisM>So<|start|>assistant{call}<|call|>"), &[Err(InvalidJson)]);
            check(&format!("{before}C>analysisM>{{\"x\": 1}}<|call|>"), &[Err(InvalidJson)]);
            check(
                &format!("{before}C>analysisM>C>commentary to=functions.fM>{{\"x\": "),
                &[Err(Unterminated)],
            );
            check(&format!("{before}C>analysisM>C>commentary to=functions.f is how"), &[]);
        }
        let found = Harmony.examine(&thinks.replace("C>", "<|channel|>").replace("M>", MESSAGE)).remove(0);
        assert_eq!(found.recovered.expect("the call that was meant").name, "f");
        check("<|start|>functions.f to=assistantC>commentaryM>4", &[Err(ForgedObservation)]);
    }
}
