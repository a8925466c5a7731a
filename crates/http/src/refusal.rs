//! Refusals by a server: a status, or an error inside a 200.

use std::time::Duration;

use serde_json::Value;

use crate::{Failure, Reply, json, short, stream};

/// Texts that servers use when a context is full, in lower case.
const TOO_LONG: [&str; 25] = [
    "context length",
    "context_length",
    "context size",
    "context window",
    "context limit",
    "exceed_context",
    "maximum context",
    "maximum prompt length",
    "maximum input length",
    "prompt is too long",
    "prompt too long",
    "prompt exceeds",
    "input is too long",
    "range of input length",
    "longer than the maximum model length",
    "max_model_len",
    "max_seq_len",
    "max_num_tokens",
    "session_len",
    "reduce the length",
    "`inputs` tokens",
    "must have less than",
    "input token count",
    "input tokens exceed",
    "too many tokens",
];

/// Says why a server refused a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its status code, or the one that the error inside a 200 names; 502 for an error without one.
    pub status: u16,
    /// The wait before the next try, if the server asks for one.
    pub wait: Option<Duration>,
    /// The server's text.
    pub text: String,
}

impl Refusal {
    /// Returns whether a retry may succeed: the server is busy, loading, or was restarted.
    pub fn passes(&self) -> bool {
        // An empty account isn't a rate limit.
        !self.says(&["insufficient_quota"])
            && matches!(self.status, 408 | 409 | 423..=425 | 429 | 499 | 500 | 502..=504 | 507..=599)
    }

    /// Returns whether its text contains one of these, which are lower case.
    pub fn says(&self, any: &[&str]) -> bool {
        let text = self.text.to_lowercase();
        any.iter().any(|part| text.contains(part))
    }

    /// Returns whether the request was too long for the model's context.
    pub fn is_too_long(&self) -> bool {
        match self.status {
            413 => true,
            // A limit of tokens per minute passes.
            429 => self.says(&["context_length_exceeded"]),
            _ => self.says(&TOO_LONG),
        }
    }

    /// Returns it as a failure.
    pub fn failure(self) -> Failure {
        let reason = format!("status {}: {}", self.status, short(&self.text));
        if self.passes() { Failure::Passing { reason, wait: self.wait } } else { Failure::Lasting(reason) }
    }
}

impl Reply {
    /// Returns the answer or the refusal. A stream of events is read as the answer in it.
    ///
    /// # Errors
    /// If the answer isn't complete JSON.
    pub fn read(self) -> Result<Result<Value, Refusal>, Failure> {
        let Self { status, retry_after: wait, text } = self;
        if !(200..300).contains(&status) {
            return Ok(Err(Refusal { status, wait, text }));
        }
        let answer: Value = match json::read(&text) {
            Ok(answer) => answer,
            Err(_) if text.trim_start().starts_with('<') => {
                return Err(Failure::Unreached(format!("a web page in place of JSON: {}", short(&text))));
            }
            Err(_) if stream::is_stream(&text) => stream::whole(&text).map_err(Failure::passing)?,
            Err(error) => {
                let reason = format!("the answer is no whole JSON ({error}): {}", short(&text));
                return Err(Failure::passing(reason));
            }
        };
        let error = match &answer["error"] {
            Value::Null if answer["object"] == "error" => &answer,
            Value::Null => return Ok(Ok(answer)),
            error => error,
        };
        Ok(Err(Refusal { status: status_in(error), wait, text }))
    }
}

/// Returns the status that an error names.
fn status_in(error: &Value) -> u16 {
    let number = |key: &str| {
        let value = &error[key];
        value.as_u64().or_else(|| value.as_str()?.parse().ok()).and_then(|status| u16::try_from(status).ok())
    };
    let named = ["code", "status", "status_code"].into_iter().filter_map(number);
    named.into_iter().find(|status| (400..600).contains(status)).unwrap_or(502)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, text: &str) -> Option<Refusal> {
        let reply = Reply { status, retry_after: None, text: text.into() };
        reply.read().expect("JSON or a status").err()
    }

    #[test]
    fn what_passes_and_what_lasts() {
        let check = |status: u16, text: &str, passes: bool| {
            assert_eq!(refusal(status, text).unwrap().passes(), passes, "{status} {text}");
        };
        for status in [408, 409, 425, 429, 500, 502, 503, 504, 520, 529] {
            check(status, "busy", true);
        }
        for status in [400, 401, 402, 403, 404, 405, 413, 422, 501, 505] {
            check(status, "no", false);
        }
        check(429, r#"{"error":{"code":"insufficient_quota"}}"#, false);
        check(200, r#"{"error":{"message":"overloaded","code":502}}"#, true);
        check(200, r#"{"error":{"message":"overloaded","code":"503"}}"#, true);
        check(200, r#"{"error":"something"}"#, true);
        check(200, r#"{"error":{"message":"no such model","code":404}}"#, false);
        check(200, r#"{"object":"error","message":"too long","code":400}"#, false);
    }

    #[test]
    fn a_full_context_is_known_by_its_words() {
        let check = |status: u16, text: &str, expect: bool| {
            assert_eq!(refusal(status, text).unwrap().is_too_long(), expect, "{status} {text}");
        };
        // Servers and hosts differ: OpenAI and vLLM, vLLM's newer ones, SGLang, llama.cpp,
        // text-generation-inference, Anthropic, Gemini, LM Studio, xAI, TensorRT-LLM.
        for text in [
            "This model's maximum context length is 4096 tokens. However, you requested 4137 tokens",
            "'max_completion_tokens' is too large: 2048. This model's maximum context length is 4096",
            "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
            "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
            "the request exceeds the available context size. try increasing the context size",
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096",
            "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000",
            "prompt is too long: 210000 tokens > 200000 maximum",
            "The input token count (40000) exceeds the maximum number of tokens allowed (32768).",
            "the model is loaded with Context Length of only 4096 tokens",
            "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
            "Prompt length (5000) exceeds maximum input length (4096).",
        ] {
            check(400, text, true);
        }
        check(413, "<html>Request Entity Too Large</html>", true);
        check(500, "context_length_exceeded", true);
        check(429, "Limit of tokens per minute; please reduce the length of the messages", false);
        check(400, "Unsupported parameter: 'max_tokens'", false);
        check(404, "The model `m` does not exist", false);
    }

    #[test]
    fn an_answer_is_one_and_a_cut_one_passes() {
        assert_eq!(refusal(200, r#"{"choices":[],"error":null}"#), None);
        assert_eq!(refusal(201, "{}"), None);
        let read =
            |text: &str| Reply { status: 200, retry_after: None, text: text.into() }.read().unwrap_err();
        assert!(matches!(read(r#"{"choices":[{"mess"#), Failure::Passing { .. }));
        assert!(matches!(read(""), Failure::Passing { .. }));
        assert!(matches!(read("\n<!DOCTYPE html><html>"), Failure::Unreached(_)));
    }
}
