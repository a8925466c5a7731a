//! Reads a server's answer: the text of a turn and the reason for its end.

use serde_json::Value;
use turnwise_http::{Failure, short};
use turnwise_tools::CallFormat;
use turnwise_trajectory::Finish;

use super::call_text;

/// Most bytes of a turn's text; a longer one is cut there, and its turn counts as truncated.
const LONGEST: usize = 1 << 20;

/// Finish reasons of a truncated turn, in lower case.
const CUT: [&str; 13] = [
    "length",
    "max_tokens",
    "max_length",
    "max_output_tokens",
    "model_length",
    "model_context_window_exceeded",
    "context_length_exceeded",
    "incomplete",
    "content_filter",
    "safety",
    "recitation",
    "blocklist",
    "prohibited_content",
];

/// Finish reasons of a server that broke off.
const BROKEN: [&str; 10] = [
    "abort",
    "aborted",
    "cancel",
    "cancelled",
    "canceled",
    "error",
    "timeout",
    "insufficient_system_resource",
    "load",
    "unload",
];

/// Holds a turn as a server wrote it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) finish: Finish,
}

/// Says why an answer holds no turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The server broke off, and a retry may succeed.
    Broken(String),
    /// The answer has no choice.
    Nothing(String),
}

impl NoAnswer {
    /// Returns it as a failure. `again` says whether an answer without a choice is retried.
    pub(super) fn failure(self, again: bool) -> Failure {
        match self {
            Self::Broken(reason) => Failure::passing(reason),
            Self::Nothing(reason) if again => Failure::passing(reason),
            Self::Nothing(reason) => Failure::Lasting(reason),
        }
    }
}

/// Reads the choice of index 0, or the first one where none has an index.
///
/// Calls that the server parsed are written out in the call format. Thoughts that it removed from the text
/// stay out, as they are no part of the later conversation.
pub(super) fn read(answer: &Value, format: &dyn CallFormat) -> Result<Said, NoAnswer> {
    let choices = answer["choices"].as_array().map_or(&[][..], Vec::as_slice);
    let first = choices.iter().find(|choice| choice["index"] == 0).or(choices.first());
    let Some(choice) = first.filter(|choice| choice.is_object()) else {
        return Err(NoAnswer::Nothing(format!("the answer has no choice: {}", short(&answer.to_string()))));
    };
    let broken =
        |what: &Value| NoAnswer::Broken(format!("the server broke off: {}", short(&what.to_string())));
    if !choice["error"].is_null() {
        return Err(broken(&choice["error"]));
    }
    let finish = finish(&choice["finish_reason"]).ok_or_else(|| broken(&choice["finish_reason"]))?;
    let message = &choice["message"];
    let mut text = content(&message["content"]);
    if !message.is_object() {
        // The older completions protocol.
        text = content(&choice["text"]);
    }
    if text.is_empty() {
        text = content(&message["refusal"]);
    }
    let mut text = with_opening(call_text::append(text, message, format));
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
        return Ok(Said { text, finish: Finish::Length });
    }
    Ok(Said { text, finish })
}

/// Returns why a turn ended; none if the server broke off. An unknown reason counts as a normal end.
fn finish(reason: &Value) -> Option<Finish> {
    let reason = reason.as_str().or_else(|| reason["type"].as_str()).unwrap_or_default().to_lowercase();
    let is = |names: &[&str]| names.contains(&reason.as_str());
    match () {
        () if is(&BROKEN) => None,
        () if is(&CUT) => Some(Finish::Length),
        () => Some(Finish::EndOfTurn),
    }
}

/// Returns a content's text: a string, a list of parts, or nothing. Parts other than text count as empty.
fn content(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(content).collect(),
        Value::Object(part) => part.get("text").map(content).unwrap_or_default(),
        other => other.to_string(),
    }
}

/// Returns the text with the opening of its thought, if the server's template wrote that.
fn with_opening(text: String) -> String {
    const OPEN: &str = "<think>";
    match text.find("</think>") {
        Some(end) if !text[..end].contains(OPEN) => format!("{OPEN}\n{text}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use turnwise_tools::FormatName;

    use super::*;

    fn reads(answer: &Value) -> Result<(String, Finish), NoAnswer> {
        read(answer, &*FormatName::Hermes.build()).map(|said| (said.text, said.finish))
    }

    fn check(choice: &Value, text: &str, finish: Finish) {
        assert_eq!(reads(&json!({"choices": [choice]})), Ok((text.into(), finish)), "{choice}");
    }

    #[test]
    fn content_comes_in_many_forms() {
        let says = |message: Value, text: &str| {
            check(&json!({"message": message, "finish_reason": "stop"}), text, Finish::EndOfTurn);
        };
        says(json!({"content": "x"}), "x");
        says(json!({"content": null}), "");
        says(json!({"content": null, "reasoning_content": "a thought"}), "");
        says(json!({"content": "x", "reasoning": "a thought"}), "x");
        says(json!({}), "");
        says(json!({"content": [{"type": "text", "text": "x"}, "y", {"type": "text", "text": "z"}]}), "xyz");
        says(json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}), "");
        says(json!({"content": []}), "");
        says(json!({"content": {"type": "text", "text": "x"}}), "x");
        says(json!({"content": 42}), "42");
        says(json!({"content": null, "refusal": "I can't"}), "I can't");
        says(json!({"content": "x", "tool_calls": null, "function_call": null}), "x");
        says(json!({"content": "x", "tool_calls": []}), "x");
        says(json!({"content": "hm\n</think>\nx"}), "<think>\nhm\n</think>\nx");
        says(json!({"content": "<think>\nhm\n</think>\nx"}), "<think>\nhm\n</think>\nx");
        check(&json!({"text": "x", "finish_reason": "stop"}), "x", Finish::EndOfTurn);
        check(&json!({"message": null, "finish_reason": "stop"}), "", Finish::EndOfTurn);
    }

    #[test]
    fn a_reason_is_an_end_a_cut_or_a_fault() {
        let ends = |reason: Value, finish: Finish| {
            check(&json!({"message": {"content": "x"}, "finish_reason": reason}), "x", finish);
        };
        for end in ["stop", "STOP", "tool_calls", "function_call", "eos_token", "never heard of"] {
            ends(end.into(), Finish::EndOfTurn);
        }
        ends(Value::Null, Finish::EndOfTurn);
        for cut in ["length", "MAX_TOKENS", "content_filter", "model_length"] {
            ends(cut.into(), Finish::Length);
        }
        ends(json!({"type": "length"}), Finish::Length);
        for broken in [json!("abort"), json!("error"), json!({"type": "abort"}), json!("load")] {
            let choice = json!({"message": {"content": "Answer: 4"}, "finish_reason": broken});
            assert!(matches!(reads(&json!({"choices": [choice]})), Err(NoAnswer::Broken(_))), "{choice}");
        }
        let failed = json!({"choices": [{"message": {"content": ""}, "error": {"code": 502}}]});
        assert!(matches!(reads(&failed), Err(NoAnswer::Broken(_))));
    }

    #[test]
    fn an_answer_without_a_choice_is_none() {
        for nothing in [json!({}), json!([]), json!(null), json!({"choices": []}), json!({"choices": [null]})]
        {
            assert!(matches!(reads(&nothing), Err(NoAnswer::Nothing(_))), "{nothing}");
        }
    }

    #[test]
    fn choices_may_come_in_any_order() {
        let choice = |index: u64, text: &str| json!({"index": index, "message": {"content": text}});
        let (text, _) = reads(&json!({"choices": [choice(1, "b"), choice(0, "a")]})).unwrap();
        assert_eq!(text, "a");
    }

    #[test]
    fn an_endless_text_is_cut() {
        let choice = json!({"message": {"content": "é".repeat(LONGEST)}, "finish_reason": "stop"});
        let (text, finish) = reads(&json!({"choices": [choice]})).unwrap();
        assert_eq!((text.len(), finish), (LONGEST, Finish::Length));
    }
}
