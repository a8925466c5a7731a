//! Reads the columns of a task that a command checks.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use turnwise_datasets::at;
use turnwise_runfile::nearest;
use turnwise_trajectory::Message;

use crate::prompt::{kind, messages};

/// Columns that are read.
pub(super) const COLUMNS: [&str; 4] = ["answer", "id", "level", "question"];
/// Places of the question, the first that is there.
const PROMPTS: [&str; 3] = ["question", "prompt", "messages"];
/// Letters of a name that may be a mistyped one.
const NAME: usize = 40;

/// Holds a task as it stands in a file.
pub(super) struct Read {
    pub(super) id: Option<String>,
    pub(super) prompt: Vec<Message>,
    pub(super) answer: String,
    pub(super) level: u32,
    /// Columns that aren't read here.
    pub(super) further: Option<Value>,
}

/// Takes a row apart. `columns`: paths that were laid over the row.
pub(super) fn read(row: Value, columns: &BTreeMap<String, String>) -> Result<Read, String> {
    let Value::Object(mut keys) = row else { return Err("the row is no JSON object".into()) };
    let graded = at(&Value::Object(keys.clone()), "reward_model.ground_truth");
    let said = |key: &str| keys.get(key).filter(|value| !value.is_null());
    let asked = PROMPTS.into_iter().find(|key| said(key).is_some());
    mistyped(&keys)?;
    let Some(asked) = asked else {
        return Err("missing field `question`; hint: name its column in columns".into());
    };
    let prompt = messages(&keys[asked])
        .map_err(|what| if asked == "question" { what } else { format!("{asked}: {what}") })?;
    let id = said("id").map(|id| text(id, "id")).transpose()?;
    let graded = graded.filter(|value| !value.is_null() && !columns.contains_key("answer"));
    let answer = match graded.as_ref().or_else(|| said("answer")) {
        // A checker may read lists and objects as JSON.
        Some(value @ (Value::Array(_) | Value::Object(_))) => value.to_string(),
        Some(value) => text(value, "answer")?,
        None => String::new(),
    };
    let level = level(&keys)?;
    for key in COLUMNS.into_iter().chain(PROMPTS) {
        keys.remove(key);
    }
    let further = (!keys.is_empty()).then_some(Value::Object(keys));
    Ok(Read { id, prompt, answer, level, further })
}

/// Returns the level of a task; 1 where it has none.
pub(crate) fn level(columns: &Map<String, Value>) -> Result<u32, String> {
    match columns.get("level").filter(|value| !value.is_null()) {
        None => Ok(1),
        Some(level) => level
            .as_u64()
            .and_then(|level| u32::try_from(level).ok())
            .ok_or_else(|| format!("level is {level}, expected a whole number; hint: leave it out")),
    }
}

/// Refuses a column whose name is `question` or `answer` with a slip.
fn mistyped(keys: &Map<String, Value>) -> Result<(), String> {
    let known = ["answer", "question"];
    for key in keys.keys().filter(|key| key.len() <= NAME && !COLUMNS.contains(&key.as_str())) {
        if let Some(meant) = nearest(key, known).filter(|meant| !keys.contains_key(*meant)) {
            return Err(format!("unknown column `{key}`; hint: did you mean `{meant}`?"));
        }
    }
    Ok(())
}

fn text(value: &Value, key: &str) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        other => {
            Err(format!("{key} is {}, expected a text; hint: name another column in columns", kind(other)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_of_verl_and_others_keep_their_further_columns() {
        let prompt = json!([{"role": "user", "content": "2 + 2?"}]);
        let row = json!({
            "data_source": "d", "prompt": prompt, "ability": "math", "id": 3,
            "reward_model": {"style": "rule", "ground_truth": "4"}, "extra_info": {"index": 0},
        });
        let read = read(row, &BTreeMap::new()).ok().unwrap();
        assert_eq!((read.answer.as_str(), read.id.as_deref(), read.level), ("4", Some("3"), 1));
        assert_eq!(read.prompt[0].content, "2 + 2?");
        let further = read.further.unwrap();
        assert_eq!(further["extra_info"], json!({"index": 0}));
        assert!(further.get("prompt").is_none() && further["reward_model"]["style"] == "rule");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (row, expect) in [
            (json!([1]), "the row is no JSON object"),
            (json!({"text": "?"}), "missing field `question`"),
            (json!({"question": "?", "level": -1}), "level is -1"),
            (json!({"question": "?", "id": []}), "id is a list"),
            (json!({"qestion": "?"}), "unknown column `qestion`; hint: did you mean `question`?"),
            (json!({"prompt": " "}), "prompt: the question is empty"),
        ] {
            let error = read(row, &BTreeMap::new()).err().unwrap();
            assert!(error.starts_with(expect), "{error}");
        }
    }
}
