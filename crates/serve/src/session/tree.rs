//! One session: its calls, a tree by token prefix.
//!
//! A call whose prompt begins with everything that an earlier call read and sampled, token by token, is that
//! call's child. The tree stores only what each call adds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use turnwise_rollout::chat::Dialogue;
use turnwise_trajectory::{Finish, Rewards, TokenId};

use crate::session::answer_name::{AnswerName, Repeated};
use crate::session::digest::Digest;
use crate::session::of_run::OfRun;
use crate::session::run::Said;
use crate::session::written::{Mark, Written};

/// Holds the calls of a session.
pub(crate) struct Session {
    pub(super) calls: BTreeMap<u32, Node>,
    /// The number of the next call.
    next: u32,
    /// Calls by the conversation that their answers ended.
    said: HashMap<Digest, u32>,
    /// Calls without a conversation by their texts.
    written: Written,
    /// Calls that are being answered.
    pub(crate) open: u32,
    /// When it was used last, by the clock of the server's sessions.
    pub(crate) used: u64,
    tokens: usize,
    /// Names of rewards of all calls.
    names: usize,
    /// Its part in a run, if it has one.
    pub(super) run: Option<OfRun>,
}

/// Holds a call and its answer.
pub(super) struct Node {
    pub(super) parent: Option<u32>,
    /// Tokens of the path before this call.
    start: usize,
    /// The prompt beyond them.
    pub(super) added: Vec<TokenId>,
    pub(super) sampled: Vec<TokenId>,
    pub(super) logprobs: Vec<f32>,
    pub(super) finish: Finish,
    /// Whether its text repeats an answer in other tokens than were sampled, where it has no messages.
    pub(super) diverged: bool,
    pub(super) answer: Option<AnswerName>,
    pub(super) repeated: Repeated,
    pub(super) rewards: Rewards,
    pub(super) told: Texts,
    /// When it arrived and was answered, by the clock of a session of a run.
    pub(super) times: (u64, u64),
}

/// Holds the texts of a call, which only sessions of a run keep.
#[derive(Default)]
pub(crate) struct Texts {
    pub(crate) dialogue: Option<Arc<Dialogue>>,
    pub(crate) forced: Vec<TokenId>,
    pub(crate) said: Said,
}

/// Holds a call that was answered.
pub(crate) struct Answered {
    pub(crate) call: u32,
    pub(crate) parent: Option<u32>,
    pub(crate) prompt: Vec<TokenId>,
    pub(crate) sampled: Vec<TokenId>,
    pub(crate) logprobs: Vec<f32>,
    pub(crate) finish: Finish,
    /// Whether its text repeats an answer in other tokens than were sampled, where it has no messages.
    pub(crate) diverged: bool,
    /// The conversation with the answer.
    pub(crate) said: Option<Digest>,
    /// The answer's name, in a conversation.
    pub(crate) answer: Option<AnswerName>,
    /// The answers that the prompt repeats.
    pub(crate) repeated: Repeated,
    /// The text with the answer, where there is no conversation.
    pub(crate) written: Option<Mark>,
    /// The texts of the call.
    pub(crate) texts: Texts,
}

/// Says where a conversation goes on.
pub(crate) struct Continued {
    /// The call whose answer it repeats.
    pub(crate) call: u32,
    /// Number of messages up to that answer.
    pub(crate) messages: usize,
    /// The tokens up to there.
    pub(crate) tokens: Vec<TokenId>,
    /// Whether they have the end of the turn.
    pub(crate) closed: bool,
}

/// Says why rewards can't be given.
pub(crate) enum Unrewarded {
    /// There is no such call.
    NoCall,
    /// The call would have too many names of rewards, or too large ones.
    Wrong(String),
}

/// Tokens that need as much memory as a call without any.
const CALL: usize = 96;
/// Tokens that need as much memory as the name of an answer.
const ANSWER: usize = 13;
/// Tokens that need as much memory as a reward with its name.
const NAME: usize = 16;

impl Session {
    pub(crate) fn new() -> Self {
        Self {
            calls: BTreeMap::new(),
            next: 0,
            said: HashMap::new(),
            written: Written::default(),
            open: 0,
            used: 0,
            tokens: 0,
            names: 0,
            run: None,
        }
    }

    /// Returns a session of a run.
    pub(crate) fn of_run(place: u64) -> Self {
        Self { run: Some(OfRun::new(place)), ..Self::new() }
    }

    /// Counts the calls of a session of a run that were answered or are being answered. One that was given
    /// up isn't among them: a client that went away asks again.
    pub(crate) fn held(&self) -> usize {
        self.calls.len() + self.run.as_ref().map_or(0, |run| run.begun.len())
    }

    /// Returns whether the program of a session of a run has said that it is done.
    pub(crate) fn is_done(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.done)
    }

    /// Returns the number of the next call.
    pub(crate) fn next(&self) -> u32 {
        self.next
    }

    /// Returns when a call was answered, by the clock of a session of a run.
    pub(crate) fn answered_at(&self, call: Option<u32>) -> u64 {
        call.and_then(|call| self.calls.get(&call)).map_or(0, |node| node.times.1)
    }

    /// Returns its part in a run.
    pub(crate) fn run(&mut self) -> Option<&mut OfRun> {
        self.run.as_mut()
    }

    /// Ends the work on `count` calls from `first` on. Those that weren't answered give back their numbers.
    pub(crate) fn leave(&mut self, first: u32, count: u32) {
        self.open = self.open.saturating_sub(count);
        if let Some(run) = &mut self.run {
            for call in (first..first + count).filter(|call| !self.calls.contains_key(call)) {
                run.begun.remove(&call);
                run.streams.give_back(call);
            }
        }
    }

    /// Returns the numbers of the next `count` calls, the first of them.
    pub(crate) fn number(&mut self, count: u32) -> u32 {
        let first = self.next;
        self.next += count;
        first
    }

    /// Returns the session's size in tokens, with a share for each call and each reward.
    pub(crate) fn size(&self) -> usize {
        self.tokens + CALL * self.calls.len() + NAME * self.names
    }

    /// Adds an answered call.
    ///
    /// # Panics
    /// If it names a parent that its prompt doesn't continue token by token.
    pub(crate) fn add(&mut self, answered: Answered) {
        let Answered { call, parent, prompt, sampled, logprobs, finish, diverged, .. } = answered;
        let Answered { said, answer, repeated, written, texts, .. } = answered;
        let continues =
            |parent: u32| self.calls.contains_key(&parent) && prompt.starts_with(&self.path(parent));
        assert!(parent.is_none_or(continues), "a call continues what its session has read and sampled");
        let start = parent.map_or(0, |parent| self.calls[&parent].end());
        let added = prompt[start..].to_vec();
        self.tokens += added.len() + sampled.len() + ANSWER * repeated.answers.len();
        let rewards = Rewards::default();
        let (told, times) = match &mut self.run {
            Some(run) => (texts, (run.begun.remove(&call).unwrap_or(0), run.tick())),
            None => (Texts::default(), (0, 0)),
        };
        let node = Node {
            parent,
            start,
            added,
            sampled,
            logprobs,
            finish,
            diverged,
            answer,
            repeated,
            rewards,
            told,
            times,
        };
        self.calls.insert(call, node);
        if let Some(said) = said {
            self.said.insert(said, call);
        }
        if let Some(written) = written {
            self.written.add(written, call);
        }
    }

    /// Finds the call whose answer ends the longest beginning of a conversation. `digests`: those of its
    /// beginnings, by their number of messages.
    pub(crate) fn continued(&self, digests: &[Digest]) -> Option<Continued> {
        let known = |(messages, digest)| Some((messages, *self.said.get::<Digest>(digest)?));
        let (messages, call) = digests.iter().enumerate().rev().find_map(known)?;
        let closed = self.calls[&call].finish == Finish::EndOfTurn;
        Some(Continued { call, messages, tokens: self.path(call), closed })
    }

    /// Finds the call that a prompt continues token by token: the one with the most tokens, or the latest.
    pub(crate) fn before(&self, prompt: &[TokenId]) -> Option<u32> {
        let mut best: Option<(usize, u32)> = None;
        let mut on_path = BTreeSet::new();
        for (call, node) in &self.calls {
            let follows = node.parent.is_none_or(|parent| on_path.contains(&parent));
            let end = node.end();
            if !follows || end > prompt.len() {
                continue;
            }
            let own = &prompt[node.start..end];
            let (added, sampled) = own.split_at(node.added.len());
            if added == node.added && sampled == node.sampled {
                on_path.insert(*call);
                best = best.max(Some((end, *call)));
            }
        }
        best.map(|(_, call)| call)
    }

    /// Returns whether a text repeats an answer whose tokens its call doesn't continue.
    pub(crate) fn diverges(&self, text: &str, parent: Option<u32>) -> bool {
        let repeated = self.written.repeated(text);
        let before = |call: &u32| self.calls[call].parent;
        let continues = || std::iter::successors(parent, before).any(|call| repeated.contains(&call));
        !repeated.is_empty() && !continues()
    }

    /// Counts the tokens that a call read.
    pub(crate) fn read(&self, call: u32) -> usize {
        self.calls.get(&call).map_or(0, |node| node.start + node.added.len())
    }

    /// Adds rewards to a call; to the last one, without a number. In a session of a run, numbers count the
    /// answered calls: its program doesn't know of those that its client gave up.
    pub(crate) fn reward(&mut self, call: Option<u32>, rewards: &Rewards) -> Result<u32, Unrewarded> {
        let place = match call {
            None => self.calls.keys().next_back().copied(),
            Some(nth) if self.run.is_some() => self.calls.keys().nth(nth as usize).copied(),
            Some(call) => Some(call),
        };
        let node = place.and_then(|place| self.calls.get_mut(&place)).ok_or(Unrewarded::NoCall)?;
        let mut sum = node.rewards.clone();
        sum.extend(rewards);
        if let Some(why) = sum.overfull() {
            return Err(Unrewarded::Wrong(why));
        }
        self.names += sum.iter().count() - node.rewards.iter().count();
        node.rewards = sum;
        let last = self.calls.len() as u32 - 1;
        Ok(if self.run.is_some() { call.unwrap_or(last) } else { place.unwrap_or_default() })
    }

    /// Returns all tokens that a call read and sampled.
    pub(super) fn path(&self, call: u32) -> Vec<TokenId> {
        let node = &self.calls[&call];
        let mut tokens = self.prompt(node);
        tokens.extend_from_slice(&node.sampled);
        tokens
    }

    /// Returns the tokens that a call read.
    pub(super) fn prompt(&self, node: &Node) -> Vec<TokenId> {
        let mut parts = vec![&node.added];
        let mut next = node.parent;
        while let Some(parent) = next {
            let parent = &self.calls[&parent];
            parts.extend([&parent.sampled, &parent.added]);
            next = parent.parent;
        }
        parts.into_iter().rev().flatten().copied().collect()
    }

    /// Counts the calls, and those that diverged.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.calls.len(), self.diverged().len())
    }
}

impl Node {
    /// Counts the tokens up to the end of its answer.
    fn end(&self) -> usize {
        self.start + self.added.len() + self.sampled.len()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(in crate::session) fn answered(
        call: u32,
        parent: Option<u32>,
        prompt: &[TokenId],
        sampled: &[TokenId],
    ) -> Answered {
        Answered {
            call,
            parent,
            prompt: prompt.to_vec(),
            sampled: sampled.to_vec(),
            logprobs: vec![-0.5; sampled.len()],
            finish: Finish::EndOfTurn,
            diverged: false,
            said: None,
            answer: None,
            repeated: Repeated::default(),
            written: None,
            texts: Texts::default(),
        }
    }

    #[test]
    fn calls_are_a_tree_by_token_prefix() {
        let mut session = Session::new();
        session.add(answered(0, None, &[1, 2], &[3, 4]));
        assert_eq!(session.before(&[1, 2, 3, 4, 5]), Some(0));
        session.add(answered(1, Some(0), &[1, 2, 3, 4, 5], &[6]));
        session.add(answered(2, Some(0), &[1, 2, 3, 4, 7], &[8]));
        assert_eq!(session.before(&[1, 2, 3, 4, 5, 6]), Some(1));
        assert_eq!(session.before(&[1, 2, 3, 4, 7, 8, 9]), Some(2));
        assert_eq!(session.before(&[1, 2, 3, 4, 9]), Some(0));
        assert_eq!(session.before(&[1, 2, 3]), None);
        assert_eq!(session.before(&[2, 1, 3, 4]), None);
        assert_eq!(session.size(), 2 + 2 + 1 + 1 + 1 + 1 + 3 * CALL, "only what a call adds is kept");
        let line = serde_json::to_value(session.record("s", true)).unwrap();
        assert_eq!(line["calls"][2]["prompt_token_ids"], json!([1, 2, 3, 4, 7]));
        assert_eq!(line["calls"][2]["parent"], 0);
    }

    #[test]
    fn of_equal_paths_the_latest_is_continued() {
        let mut session = Session::new();
        session.add(answered(0, None, &[1], &[2]));
        session.add(answered(1, None, &[1], &[2]));
        assert_eq!(session.before(&[1, 2, 3]), Some(1));
    }
}
