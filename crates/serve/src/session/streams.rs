//! Which random numbers a call of a run's trajectory gets.
//!
//! The calls of a conversation that only grows have the numbers of their depth, which are those of the turns
//! of a trajectory that is played in this process. The hash of its prompt is added to every other call, so
//! its numbers don't depend on which calls arrived before it. Equal prompts have different numbers.

use std::collections::BTreeMap;
use std::hash::Hasher;

use fnv::FnvHasher;
use turnwise_trajectory::TokenId;

/// Holds the calls of a session that are being answered or were.
#[derive(Default)]
pub(crate) struct Streams(BTreeMap<u32, Taken>);

/// Holds the place of a call.
struct Taken {
    parent: Option<u32>,
    depth: u32,
    /// Whether it is of the conversation that only grows.
    is_main: bool,
    prompt: u64,
    /// Number of calls before it with the same prompt.
    copy: u32,
}

/// Names the random numbers of a call in its trajectory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stream {
    /// Number of calls that it continues.
    pub(crate) depth: u32,
    /// 0 in the conversation that only grows.
    pub(crate) salt: u64,
}

impl Streams {
    /// Chooses the numbers of a call.
    pub(crate) fn take(&mut self, call: u32, parent: Option<u32>, prompt: &[TokenId]) -> Stream {
        let mut hasher = FnvHasher::default();
        for token in prompt {
            hasher.write_u32(*token);
        }
        let prompt = hasher.finish();
        let before = parent.and_then(|parent| self.0.get(&parent));
        let depth = before.map_or(0, |before| before.depth + 1);
        let first = !self.0.values().any(|other| other.is_main && other.parent == parent);
        let is_main = first && before.is_none_or(|before| before.is_main);
        let equal = |copy: u32| self.0.values().any(|other| other.prompt == prompt && other.copy == copy);
        let copy = (0..u32::MAX).find(|copy| !equal(*copy)).expect("there are fewer calls than numbers");
        self.0.insert(call, Taken { parent, depth, is_main, prompt, copy });
        if is_main {
            return Stream { depth, salt: 0 };
        }
        hasher.write_u32(copy);
        Stream { depth, salt: hasher.finish().max(1) }
    }

    /// Returns whether a call is of the conversation that only grows.
    pub(crate) fn is_main(&self, call: u32) -> bool {
        self.0.get(&call).is_some_and(|taken| taken.is_main)
    }

    /// Gives back the numbers of a call that was not answered.
    pub(crate) fn give_back(&mut self, call: u32) {
        self.0.remove(&call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_that_grows_has_the_numbers_of_its_turns() {
        let mut streams = Streams::default();
        assert_eq!(streams.take(0, None, &[1]), Stream { depth: 0, salt: 0 });
        assert_eq!(streams.take(1, Some(0), &[1, 2, 3]), Stream { depth: 1, salt: 0 });
        // A client that went away asks again.
        streams.give_back(1);
        assert_eq!(streams.take(2, Some(0), &[1, 2, 3]), Stream { depth: 1, salt: 0 });
    }

    #[test]
    fn other_calls_have_numbers_of_their_prompts_in_any_order() {
        let others = |prompts: [TokenId; 3]| {
            let mut streams = Streams::default();
            streams.take(0, None, &[1]);
            let mut found = vec![];
            for (prompt, call) in prompts.into_iter().zip(1..) {
                found.push((prompt, streams.take(call, None, &[prompt]).salt));
            }
            found.sort_unstable();
            found
        };
        let found = others([5, 6, 5]);
        assert_eq!(found, others([5, 5, 6]));
        let mut salts: Vec<u64> = found.iter().map(|(_, salt)| *salt).collect();
        salts.sort_unstable();
        salts.dedup();
        assert!(salts.len() == 3 && salts[0] > 0, "{salts:?}");
    }

    #[test]
    fn behind_a_branch_every_call_has_numbers_of_its_prompt() {
        let mut streams = Streams::default();
        streams.take(0, None, &[1]);
        streams.take(1, Some(0), &[1, 2]);
        assert!(streams.take(2, Some(0), &[1, 3]).salt > 0);
        assert_ne!(streams.take(3, Some(2), &[1, 3, 4]).salt, 0);
        assert_eq!(streams.take(4, Some(1), &[1, 2, 4]), Stream { depth: 2, salt: 0 });
    }
}
