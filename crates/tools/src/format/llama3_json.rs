//! Reads Llama 3.1's calls: `{"name": …, "parameters": {…}}` or a list of such objects (as xLAM),
//! `<function=NAME>{…}</function>`, and after `<|python_tag|>` a call or code for the tool `python`.

use serde_json::{Map, Value, json};
use turnwise_trajectory::{ToolCall, ViolationKind};

use super::foreign::{DICTIONARIES, DICTIONARY, read_dictionary};
use super::found_call::{Found, malformed};
use super::function_tag::{self, FUNCTION, FUNCTION_END};
use super::grammar::{Grammar, Marker, Place, forged_observation};
use super::json::{json_or_text, looks_like_call, objects, read_calls, spaced};
use super::scan::{HeadedJson, JsonValue, Scan, opens_json};
use super::{CallFormat, pythonic};
use crate::spec::ToolSpec;

const TAG: &str = "<|python_tag|>";
const IPYTHON: &str = "<|start_header_id|>ipython";
const EOM: &str = "<|eom_id|>";
const KEYS: &[&str] = &["parameters", "arguments"];
/// Tokens that end a message.
const ENDS: &[&str] = &[EOM, "<|eot_id|>", "<|start_header_id|>", "<|end_of_text|>", TAG];
const MARKERS: &[Marker] = &[
    Marker::call(TAG),
    Marker::call(FUNCTION),
    Marker::bracket(DICTIONARY, Place::LineStart),
    Marker::bracket(DICTIONARIES, Place::LineStart),
    Marker::bracket("{", Place::LineStart),
    Marker::bracket("[", Place::LineStart),
    // In the middle of a line only the usual beginning of a call counts.
    Marker::bracket("{\"name\"", Place::WordStart),
    Marker::forged(IPYTHON),
    Marker::forged(EOM),
];

/// Reads and writes the JSON calls of Llama 3.1 and later. An object is a call if it has a name and
/// parameters. Other objects are text, because answers may be JSON too.
#[derive(Debug, Clone, Copy, Default)]
pub struct Llama3Json;

impl Grammar for Llama3Json {
    fn markers(&self) -> &'static [Marker] {
        MARKERS
    }

    fn scan(&self, marker: usize, raw: bool) -> Scan {
        match MARKERS[marker].text {
            TAG => Scan::Headed(HeadedJson::behind(ENDS, &[TAG], raw)),
            FUNCTION => function_tag::scan(raw, true),
            IPYTHON | EOM => Scan::Marker,
            DICTIONARY | DICTIONARIES => Scan::Value(JsonValue::new(&[TAG], raw)),
            _ => Scan::Value(JsonValue::new(&[TAG], raw).unless_prose()),
        }
    }

    fn read(&self, marker: usize, text: &str, offset: usize) -> Vec<Found> {
        match MARKERS[marker].text {
            // The model's own end of a message with calls.
            EOM => Vec::new(),
            IPYTHON => forged_observation(text, offset),
            FUNCTION => function_tag::read(text, offset, json_or_text),
            DICTIONARY | DICTIONARIES => read_dictionary(text, KEYS, &(offset..offset + text.len())),
            TAG => read_tagged(&text[TAG.len()..], offset..offset + text.len()),
            _ => {
                let has_keys = KEYS.iter().any(|key| text.contains(key));
                let is_call = match objects(text) {
                    _ if MARKERS[marker].place == Place::WordStart && !has_keys => false,
                    Some(objects) => objects.iter().any(|object| looks_like_call(object, KEYS)),
                    None => has_keys,
                };
                if is_call { read_calls(text, KEYS, &(offset..offset + text.len())) } else { Vec::new() }
            }
        }
    }

    fn closing(&self, marker: usize) -> &'static str {
        match MARKERS[marker].text {
            "[" => "]",
            FUNCTION => FUNCTION_END,
            _ => "}",
        }
    }

    fn is_attempt(&self, marker: usize, text: &str) -> bool {
        let has = |key: &str| text.contains(key);
        match MARKERS[marker].place {
            Place::Anywhere => true,
            Place::WordStart => KEYS.iter().any(|key| has(key)),
            _ => has("\"name\"") || KEYS.iter().any(|key| has(key)),
        }
    }
}

/// Reads the text after the tag: a call as JSON, a call of a built-in tool, or code.
fn read_tagged(body: &str, span: std::ops::Range<usize>) -> Vec<Found> {
    let body = body.trim_end().trim_start_matches(['\n', '\r']);
    if body.trim().is_empty() {
        return vec![malformed(ViolationKind::Empty, "the call is empty", span)];
    }
    if opens_json(body.trim_start().as_bytes()) == Some(true) {
        return read_calls(body, KEYS, &span);
    }
    // Llama 3.1 was taught to write `brave_search.call(query="…")`.
    let built_in = body.trim().split_once(".call(").filter(|(name, _)| pythonic::is_name(name));
    if let Some((name, arguments)) = built_in {
        let found = pythonic::read_one(&format!("{name}({arguments}"), span.clone());
        if found.verdict.is_ok() {
            return vec![found];
        }
    }
    let arguments = Map::from_iter([("code".to_string(), Value::from(body))]);
    vec![Found { verdict: Ok(ToolCall { name: "python".into(), arguments, span }), recovered: None }]
}

impl CallFormat for Llama3Json {
    fn name(&self) -> &'static str {
        "llama3_json"
    }

    fn grammar(&self) -> &'static dyn Grammar {
        &Llama3Json
    }

    fn describe(&self, tools: &[ToolSpec]) -> String {
        let tools: Vec<String> = tools.iter().map(spaced).collect();
        format!(
            "Given the following functions, please respond with a JSON for a function call with its proper arguments \
             that best answers the given prompt.\n\nRespond in the format {{\"name\": function name, \"parameters\": \
             dictionary of argument name and its value}}. Do not use variables.\n\n{}",
            tools.join("\n\n")
        )
    }

    fn render(&self, call: &ToolCall) -> String {
        spaced(&json!({"name": call.name, "parameters": call.arguments}))
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
    use turnwise_trajectory::ViolationKind::{ForgedObservation, InvalidJson, Unterminated};

    #[test]
    fn completions_parse() {
        let check = |text: &str, expect: &[_]| check(&Llama3Json, text, expect);
        check("no call, and no {call} either", &[]);
        check(r#"{"name": "f", "parameters": {"x": 1}}"#, &[Ok(r#"f {"x":1}"#)]);
        check(r#"<|python_tag|>{"name": "f", "parameters": {}}"#, &[Ok("f {}")]);
        check(
            r#"{"name": "f", "arguments": {}}; {"name": "g", "parameters": {}}"#,
            &[Ok("f {}"), Ok("g {}")],
        );
        check("Let me see:\n  {\"name\": \"f\", \"parameters\": {\"x\": \"}\"}}\n", &[Ok(r#"f {"x":"}"}"#)]);
        check("{\"a\": 1}", &[]);
        check(r#"{"name": "f"}"#, &[Err(InvalidJson)]);
        check(r#"{"name": "f", "parameters": {"x""#, &[Err(Unterminated)]);
        check("<|start_header_id|>ipython<|end_header_id|>4", &[Err(ForgedObservation)]);
    }
}
