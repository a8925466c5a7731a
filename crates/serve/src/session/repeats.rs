//! Tells answers that a conversation repeats as they were sampled from those that it changed.
//!
//! A program may write assistant messages that were never sampled: examples, summaries. They are context like
//! any other. A changed answer is one that lost thoughts or blanks on its way, or that stands where the model
//! was asked and said something else.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};
use turnwise_trajectory::TokenId;

use crate::session::digest::{Digest, after, meant};

/// Answers of equal words whose tokens are looked for.
const ALIKE: usize = 4;
/// The end of a thought in the templates that write one.
const THOUGHT: &str = "</think>";

/// Names an answer by its conversation and its words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Repeatable {
    /// The messages before it.
    asked: Digest,
    words: Digest,
    visible: Option<Digest>,
}

impl Repeatable {
    /// Returns the names of the answer `message` to a conversation.
    pub(crate) fn new(asked: Digest, message: &Value) -> Self {
        Self { asked, words: words(message), visible: visible(message) }
    }
}

/// Holds the answers of a session.
#[derive(Default)]
pub(super) struct Repeats {
    asked: HashSet<Digest>,
    words: HashMap<Digest, Vec<u32>>,
    visible: HashSet<Digest>,
}

impl Repeats {
    pub(super) fn add(&mut self, answer: &Repeatable, call: u32) {
        self.asked.insert(answer.asked);
        self.words.entry(answer.words).or_default().push(call);
        self.visible.extend(answer.visible);
    }

    /// Returns whether a conversation has changed an answer from its message `first` on.
    ///
    /// - `digests`: those of its beginnings, by their number of messages
    /// - `tokens`: the prompt from that message on
    /// - `sampled`: the tokens of a call, without the end of the turn
    pub(super) fn changed<'s>(
        &self,
        (messages, first): (&[Value], usize),
        digests: &[Digest],
        mut tokens: &[TokenId],
        sampled: impl Fn(u32) -> &'s [TokenId],
    ) -> bool {
        let answers = (first..messages.len()).filter(|at| messages[*at]["role"] == "assistant");
        for at in answers {
            let message = &messages[at];
            let Some(calls) = self.words.get(&words(message)) else {
                let shown = visible(message).is_some_and(|visible| self.visible.contains(&visible));
                if shown || self.asked.contains(&digests[at]) {
                    return true;
                }
                continue;
            };
            // Messages stand in the prompt in their order.
            let found = calls.iter().rev().take(ALIKE).find_map(|call| behind(tokens, sampled(*call)));
            let Some(rest) = found else { return true };
            tokens = rest;
        }
        false
    }
}

/// Returns the tokens behind the first place of others in them.
fn behind<'t>(tokens: &'t [TokenId], others: &[TokenId]) -> Option<&'t [TokenId]> {
    if others.is_empty() {
        return Some(tokens);
    }
    let at = tokens.windows(others.len()).position(|window| window == others)?;
    Some(&tokens[at + others.len()..])
}

fn words(message: &Value) -> Digest {
    after(&[0; 16], &meant(message))
}

/// Names a message by what is left of it without thoughts and blanks.
fn visible(message: &Value) -> Option<Digest> {
    let text = message["content"].as_str().unwrap_or_default();
    let text = text.rsplit_once(THOUGHT).map_or(text, |(_, said)| said);
    let text: String = text.split_whitespace().collect();
    let calls = &meant(message)[2];
    let is_empty = text.is_empty() && calls.as_array().is_none_or(Vec::is_empty);
    (!is_empty).then(|| after(&[1; 16], &json!([text, calls])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::digest::digests;

    fn user(text: &str) -> Value {
        json!({"role": "user", "content": text})
    }

    fn said(text: &str) -> Value {
        json!({"role": "assistant", "content": text})
    }

    /// A session that was asked "a" and "b", and said "<think>x</think> yes" and "no".
    fn changed(messages: &[Value], tokens: &[TokenId]) -> bool {
        let tools = json!([]);
        let mut repeats = Repeats::default();
        let first = [user("a"), said("<think>x</think> yes"), user("b")];
        let all = digests(&tools, &first);
        repeats.add(&Repeatable::new(all[1], &first[1]), 0);
        repeats.add(&Repeatable::new(all[3], &said("no")), 1);
        let sampled: [&[TokenId]; 2] = [&[1, 2], &[3]];
        repeats.changed((messages, 0), &digests(&tools, messages), tokens, |call| sampled[call as usize])
    }

    #[test]
    fn answers_in_the_tokens_that_were_sampled_are_unchanged_wherever_they_stand() {
        let whole = said("<think>x</think> yes");
        let window = [user("summary"), whole.clone(), user("b"), said("no")];
        assert!(!changed(&window, &[9, 1, 2, 8, 3, 8]));
        assert!(changed(&window, &[9, 1, 7, 8, 3, 8]), "other tokens");
        assert!(changed(&window, &[9, 3, 8, 1, 2]), "another order");
        assert!(!changed(&[user("a")], &[]));
    }

    #[test]
    fn answers_that_lost_something_are_changed_and_examples_are_not() {
        for (messages, expect) in [
            (vec![user("other"), said("yes"), user("b")], true),
            (vec![user("other"), said("<think>x</think>\nyes"), user("b")], true),
            (vec![user("a"), said("maybe"), user("b")], true),
            (vec![user("example"), said("maybe"), user("b")], false),
            (vec![said("maybe"), user("a")], false),
            (vec![user("example"), said(""), user("b")], false),
        ] {
            assert_eq!(changed(&messages, &[9, 1, 2]), expect, "{messages:?}");
        }
    }
}
