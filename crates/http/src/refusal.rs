//! A server's word that it won't answer: a status, or an error inside a 200.

use std::time::Duration;

use serde_json::Value;

use crate::{Failure, Reply, json, short};

/// Why a server doesn't answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its status code, or the one that the error inside a 200 names; 502 for an error without one.
    pub status: u16,
    /// The wait that it asks for.
    pub wait: Option<Duration>,
    /// Its own words.
    pub text: String,
}

impl Refusal {
    /// Whether the same request may be answered later: the server is busy, loading, or was restarted.
    pub fn passes(&self) -> bool {
        // No money is no rate limit.
        !self.says(&["insufficient_quota"])
            && matches!(self.status, 408 | 409 | 423..=425 | 429 | 499 | 500 | 502..=504 | 507..=599)
    }

    /// Whether its words hold one of these, which are lower case.
    pub fn says(&self, any: &[&str]) -> bool {
        let text = self.text.to_lowercase();
        any.iter().any(|part| text.contains(part))
    }

    /// The failure that it is.
    pub fn failure(self) -> Failure {
        let reason = format!("status {}: {}", self.status, short(&self.text));
        if self.passes() { Failure::Passing { reason, wait: self.wait } } else { Failure::Lasting(reason) }
    }
}

impl Reply {
    /// The answer, or the refusal in its place.
    ///
    /// # Errors
    /// If the answer is no whole JSON.
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

/// The status that an error names.
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
