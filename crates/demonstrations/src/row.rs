//! A row that is taken apart, and the keys of one.

use serde_json::{Map, Value as Json};

use crate::left_out::{LeftOut, Reason};

/// Holds a row, taken apart and not yet checked.
#[derive(Debug, Default)]
pub(crate) struct Row {
    /// Messages in OpenAI's form.
    pub(crate) messages: Vec<Json>,
    /// Tools as they were written.
    pub(crate) tools: Vec<Json>,
    /// Messages at the beginning that are context, whoever says them.
    pub(crate) prompt: usize,
    /// The exact text that a policy wrote for a message, if it is known.
    pub(crate) said: Vec<Option<String>>,
}

/// Returns a list, which may be written as JSON text; none if the key is absent or null.
pub(crate) fn list(
    keys: &Map<String, Json>,
    key: &str,
    reason: Reason,
) -> Result<Option<Vec<Json>>, LeftOut> {
    let wrong = || LeftOut::new(reason, format!("`{key}` is no list"));
    match said(keys, key) {
        None => Ok(None),
        Some(Json::Array(items)) => Ok(Some(items.clone())),
        Some(Json::String(text)) if text.trim().is_empty() => Ok(None),
        Some(Json::String(text)) => match LeftOut::or_json(text, &format!("`{key}`"), |_| wrong())? {
            Json::Array(items) => Ok(Some(items)),
            Json::Null => Ok(None),
            _ => Err(wrong()),
        },
        Some(_) => Err(wrong()),
    }
}

/// Returns the value of a key that says something.
pub(crate) fn said<'a>(keys: &'a Map<String, Json>, key: &str) -> Option<&'a Json> {
    keys.get(key).filter(|value| !value.is_null())
}

/// Returns the reason of a row that holds no conversation.
pub(crate) fn not_one(message: impl Into<String>) -> LeftOut {
    LeftOut::new(Reason::NotAConversation, message)
}
