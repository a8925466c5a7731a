//! Tells answers that a prompt repeats as they were sampled from those that it changed.
//!
//! A program may write assistant messages that were never sampled: examples, summaries. They are context like
//! any other. A changed answer is one that lost thoughts or blanks on its way, or that stands where the model
//! was asked the same and said something else.
//!
//! Prompts are judged when a session ends. The order in which calls were answered doesn't count then.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use turnwise_trajectory::{Finish, TokenId};

use crate::session::answer_name::{AnswerName, Repeated};
use crate::session::digest::Digest;
use crate::session::tree::{Node, Session};

/// Different tokens of answers of equal words that are looked for in a prompt.
const ALIKE: usize = 16;

/// Holds the answers of a session.
#[derive(Default)]
struct Answers<'s> {
    asked: HashSet<Digest>,
    /// Tokens without the end of the turn, in an order that no arrival decides.
    words: HashMap<Digest, BTreeSet<&'s [TokenId]>>,
    visible: HashSet<Digest>,
}

impl Session {
    /// Returns the calls whose prompts hold a changed answer.
    pub(crate) fn diverged(&self) -> BTreeSet<u32> {
        let answers = Answers::of(&self.calls);
        let diverged = |(_, node): &(&u32, &Node)| {
            node.diverged || {
                let Repeated { from, answers: repeated } = &node.repeated;
                !repeated.is_empty() && answers.changed(repeated, &self.prompt(node)[*from..])
            }
        };
        self.calls.iter().filter(diverged).map(|(call, _)| *call).collect()
    }
}

impl<'s> Answers<'s> {
    fn of(calls: &'s BTreeMap<u32, Node>) -> Self {
        let mut all = Self::default();
        for node in calls.values() {
            let Some(answer) = node.answer else { continue };
            let said = match node.sampled.split_last() {
                Some((_, said)) if node.finish == Finish::EndOfTurn => said,
                _ => &node.sampled,
            };
            all.add(answer, said);
        }
        all
    }

    fn add(&mut self, answer: AnswerName, said: &'s [TokenId]) {
        self.asked.insert(answer.asked);
        self.words.entry(answer.words).or_default().insert(said);
        self.visible.extend(answer.visible);
    }

    /// Returns whether one of the answers that a prompt repeats was changed. `tokens`: those of the prompt
    /// from there on, in which messages stand in their order.
    fn changed(&self, repeated: &[AnswerName], mut tokens: &[TokenId]) -> bool {
        for answer in repeated {
            let Some(said) = self.words.get(&answer.words) else {
                let shown = answer.visible.is_some_and(|visible| self.visible.contains(&visible));
                if shown || self.asked.contains(&answer.asked) {
                    return true;
                }
                continue;
            };
            let Some(rest) = said.iter().take(ALIKE).find_map(|said| behind(tokens, said)) else {
                return true;
            };
            tokens = rest;
        }
        false
    }
}

/// Returns the tokens after the first place of others in them.
fn behind<'t>(tokens: &'t [TokenId], others: &[TokenId]) -> Option<&'t [TokenId]> {
    if others.is_empty() {
        return Some(tokens);
    }
    let at = tokens.windows(others.len()).position(|window| window == others)?;
    Some(&tokens[at + others.len()..])
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::session::digest::digests;

    fn user(text: &str) -> Value {
        json!({"role": "user", "content": text})
    }

    fn said(text: &str) -> Value {
        json!({"role": "assistant", "content": text})
    }

    /// Returns the names of the answers in a conversation.
    fn names(messages: &[Value]) -> Vec<AnswerName> {
        let digests = digests(&json!([]), messages);
        let answers = (1..messages.len()).filter(|at| messages[*at]["role"] == "assistant");
        answers.map(|at| AnswerName::new(digests[at], &messages[at - 1], &messages[at])).collect()
    }

    /// A session that was asked "a" and "b", and said "<think>x</think> yes" and "no".
    fn changed(messages: &[Value], tokens: &[TokenId]) -> bool {
        let played = [user("a"), said("<think>x</think> yes"), user("b"), said("no")];
        let mut answers = Answers::default();
        let sampled: [&[TokenId]; 2] = [&[1, 2], &[3]];
        names(&played).into_iter().zip(sampled).for_each(|(answer, said)| answers.add(answer, said));
        answers.changed(&names(messages), tokens)
    }

    #[test]
    fn answers_in_the_tokens_that_were_sampled_are_unchanged_wherever_they_stand() {
        let whole = said("<think>x</think> yes");
        let window = [user("summary"), user("a"), whole.clone(), user("b"), said("no")];
        assert!(!changed(&window, &[9, 1, 2, 8, 3, 8]));
        assert!(changed(&window, &[9, 1, 7, 8, 3, 8]), "other tokens");
        assert!(changed(&window, &[9, 3, 8, 1, 2]), "another order");
        assert!(!changed(&[user("a")], &[]));
    }

    #[test]
    fn answers_that_lost_something_are_changed_and_examples_are_not() {
        for (messages, expect) in [
            (vec![user("s"), user("a"), said("yes"), user("b")], true),
            (vec![user("s"), user("a"), said("<think>x</think>\nyes"), user("b")], true),
            (vec![user("a"), said("maybe"), user("b")], true),
            (vec![user("example"), said("maybe"), user("b")], false),
            // The same words to another question.
            (vec![user("example"), said("yes"), user("b")], false),
            (vec![user("example"), said(""), user("b")], false),
        ] {
            assert_eq!(changed(&messages, &[9, 1, 2]), expect, "{messages:?}");
        }
    }
}
