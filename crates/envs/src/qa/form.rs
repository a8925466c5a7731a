//! The forms of a record: GSM8K's (arXiv:2110.14168) and SVAMP's (arXiv:2103.07191).

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use super::MARK;
use crate::answer::parse;

/// Question and exact answer of one record, or what is wrong with it.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    #[derive(Deserialize)]
    struct Form {
        #[serde(rename = "Body")]
        body: Option<IgnoredAny>,
        #[serde(rename = "Answer")]
        answer: Option<IgnoredAny>,
    }
    let is_svamp = |form: Form| form.body.is_some() || form.answer.is_some();
    let (question, answer) =
        if serde_json::from_str(text).is_ok_and(is_svamp) { svamp(text) } else { gsm8k(text) }?;
    if question.trim().is_empty() {
        return Err(format!("the question is empty in {:?}\n  hint: remove the record", short(text)));
    }
    Ok((question, answer))
}

/// Question and exact answer in GSM8K's form.
fn gsm8k(text: &str) -> Result<(String, String), String> {
    #[derive(Deserialize)]
    struct Pair {
        question: String,
        answer: String,
    }
    let Pair { question, answer } = typed(text, "{\"question\": \"…\", \"answer\": \"… #### 42\"}")?;
    let (_, after) = answer.rsplit_once(MARK).ok_or_else(|| {
        format!("the answer {:?} has no \"{MARK}\"\n  hint: end it with \"{MARK} 42\"", short(&answer))
    })?;
    Ok((question, exact(after, "write an integer, a decimal or a fraction after \"####\"")?))
}

/// Question and exact answer in SVAMP's form.
fn svamp(text: &str) -> Result<(String, String), String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Svamp {
        body: String,
        question: String,
        answer: Value,
    }
    let Svamp { body, question, answer } =
        typed(text, "{\"Body\": \"…\", \"Question\": \"…\", \"Answer\": 42.0}")?;
    let answer = answer.as_str().map_or_else(|| answer.to_string(), str::to_string);
    let answer = exact(&answer, "write \"Answer\": 42 or 0.5")?;
    // A text without its question asks nothing.
    let told = if question.trim().is_empty() { "" } else { body.trim() };
    Ok((format!("{told} {}", question.trim()).trim().to_string(), answer))
}

/// Returns a record in a form, or what is wrong with it.
fn typed<T: DeserializeOwned>(text: &str, form: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        // serde_json sees one record only and would call it line 1.
        let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
        format!("{what} at column {} of {:?}\n  hint: each record is {form}", error.column(), short(text))
    })
}

/// Returns the answer that a text states, in its shortest form.
fn exact(text: &str, hint: &str) -> Result<String, String> {
    let value = parse(text).ok_or_else(|| {
        format!("the answer {:?} is not one exact number\n  hint: {hint}", short(text.trim()))
    })?;
    Ok(value.to_string())
}

/// Returns the start of a value for an error line.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}
