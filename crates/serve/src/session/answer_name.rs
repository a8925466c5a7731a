//! Names answers of a conversation, by which a session finds them in other prompts.

use serde_json::{Value, json};

use crate::session::digest::{Digest, after, meant};

/// The end of a thought in the templates that write one.
const THOUGHT: &str = "</think>";

/// Names an answer by its conversation and its words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerName {
    /// The messages before it.
    pub(super) asked: Digest,
    /// The last message before it, and the answer.
    pub(super) words: Digest,
    /// The same without thoughts and blanks.
    pub(super) visible: Option<Digest>,
}

impl AnswerName {
    /// Returns the name of the answer `message` to a conversation. `question`: the last message before it.
    pub(crate) fn new(asked: Digest, question: &Value, message: &Value) -> Self {
        let question = after(&[0; 16], &meant(question));
        let words = after(&question, &meant(message));
        Self { asked, words, visible: visible(&question, message) }
    }
}

/// Holds the answers that a prompt repeats, after the part that continues a call token by token.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repeated {
    /// The tokens before them.
    pub(crate) from: usize,
    pub(crate) answers: Vec<AnswerName>,
}

/// Names a message by what is left of it without thoughts and blanks.
fn visible(question: &Digest, message: &Value) -> Option<Digest> {
    let text = message["content"].as_str().unwrap_or_default();
    let text = text.rsplit_once(THOUGHT).map_or(text, |(_, said)| said);
    let text: String = text.split_whitespace().collect();
    let calls = &meant(message)[2];
    let is_empty = text.is_empty() && calls.as_array().is_none_or(Vec::is_empty);
    (!is_empty).then(|| after(question, &json!([text, calls])))
}
