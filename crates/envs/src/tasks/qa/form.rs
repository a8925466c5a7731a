//! Reads the forms of a record: GSM8K's (arXiv:2110.14168), SVAMP's (arXiv:2103.07191), TRL's and verl's.
//!
//! ```text
//! GSM8K  {"question": "…", "answer": "… #### 42"}
//! SVAMP  {"Body": "…", "Question": "…", "Answer": 42.0}
//! TRL    {"prompt": "…" or [{"role": "user", "content": "…"}], "answer": "42"}
//! verl   {"prompt": [{"role": "user", "content": "…"}], "reward_model": {"ground_truth": "42"}, …}
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use turnwise_datasets::{at, overlaid};
use turnwise_json::{with_exact_integers, words};
use turnwise_trajectory::{Message, Role};

use super::MARK;
use crate::answer::parse;
use crate::prompt::{kind, messages};
use crate::tasks::task_files::short;

/// The columns that an answer and a question have in the run file.
pub(super) const COLUMNS: [&str; 2] = ["answer", "question"];

/// Reads prompt and exact answer of one record, or says what is wrong with it.
pub(super) fn pair(text: &str, columns: &BTreeMap<String, String>) -> Result<(Vec<Message>, String), String> {
    let text = &*with_exact_integers(text);
    let row: Value = typed(text)?;
    let row = overlaid(&row, columns)?;
    let Value::Object(keys) = &row else {
        let Pair { question, answer } = typed(text)?;
        return Ok((asked(&question.into(), text)?, exact(&answer)?));
    };
    let has = |key: &str| keys.get(key).is_some_and(|value| !value.is_null());
    let is_mapped = |key: &str| columns.contains_key(key);
    if !is_mapped("question") && (has("Body") || has("Answer")) {
        return svamp(text, &row);
    }
    let key = question_key(keys, is_mapped("question"));
    let Some(question) = key.and_then(|key| keys.get(key)) else { return Err(missing("question", text)) };
    let graded =
        at(&row, "reward_model.ground_truth").filter(|value| !value.is_null() && !is_mapped("answer"));
    let answer = graded.or_else(|| keys.get("answer").cloned());
    let Some(answer) = answer else { return Err(missing("answer", text)) };
    let prompt = asked(question, text).map_err(|what| match key {
        Some("question") | None => what,
        Some(key) => format!("{key}: {what}"),
    })?;
    let answer = match &answer {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        other => {
            let kind = kind(other);
            return Err(format!(
                "the answer is {kind}, expected a text or a number\n  hint: name its column in columns"
            ));
        }
    };
    Ok((prompt, exact(&answer)?))
}

/// Returns the column of the question. A file of verl may have the bare question beside its prompt.
fn question_key(keys: &Map<String, Value>, is_mapped: bool) -> Option<&'static str> {
    let has = |key: &&str| keys.get(*key).is_some_and(|value| !value.is_null());
    let of_verl = keys.contains_key("reward_model") && !is_mapped;
    let order = if of_verl { ["prompt", "question", "messages"] } else { ["question", "prompt", "messages"] };
    order.into_iter().find(has)
}

fn missing(field: &str, text: &str) -> String {
    format!(
        "missing field `{field}` of {:?}\n  hint: each record is {FORM}; or name its column in columns",
        short(text)
    )
}

fn asked(question: &Value, text: &str) -> Result<Vec<Message>, String> {
    messages(question).map_err(|what| match what.split_once("; hint: ") {
        Some((what, hint)) => format!("{what} in {:?}\n  hint: {hint}", short(text)),
        None => format!("{what} in {:?}\n  hint: each record is {FORM}", short(text)),
    })
}

#[derive(Deserialize)]
struct Pair {
    question: String,
    answer: String,
}

const FORM: &str = "{\"question\": \"…\", \"answer\": \"… #### 42\"}";
const SVAMP: &str = "{\"Body\": \"…\", \"Question\": \"…\", \"Answer\": 42.0}";

/// Prompt and exact answer in SVAMP's form.
fn svamp(text: &str, row: &Value) -> Result<(Vec<Message>, String), String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Svamp {
        body: String,
        question: String,
        answer: Value,
    }
    let Svamp { body, question, answer } = Svamp::deserialize(row)
        .map_err(|error| format!("{} of {:?}\n  hint: each record is {SVAMP}", words(&error), short(text)))?;
    let answer = answer.as_str().map_or_else(|| answer.to_string(), str::to_string);
    let answer = number(&answer, "write \"Answer\": 42 or 0.5")?;
    // A body without its question asks nothing.
    let told = if question.trim().is_empty() { "" } else { body.trim() };
    let question = format!("{told} {}", question.trim()).trim().to_string();
    if question.is_empty() {
        return Err(format!("the question is empty in {:?}\n  hint: remove the record", short(text)));
    }
    Ok((vec![Message::new(Role::User, question)], answer))
}

/// Parses a record in a form, or returns the record's fault.
fn typed<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| {
        let what = words(&error);
        format!("{what} at column {} of {:?}\n  hint: each record is {FORM}", error.column(), short(text))
    })
}

/// Returns the number after the mark, or the one that is the whole answer.
fn exact(answer: &str) -> Result<String, String> {
    match answer.rsplit_once(MARK) {
        Some((_, after)) => number(after, "write an integer, a decimal or a fraction after \"####\""),
        None => number(answer, "").map_err(|_| {
            let shown = short(answer);
            format!("the answer {shown:?} has no \"{MARK}\" and isn't one number\n  hint: end it with \"{MARK} 42\"")
        }),
    }
}

/// Returns the stated answer in its shortest form.
fn number(text: &str, hint: &str) -> Result<String, String> {
    let value = parse(text).ok_or_else(|| {
        format!("the answer {:?} is not one exact number\n  hint: {hint}", short(text.trim()))
    })?;
    Ok(value.to_string())
}
