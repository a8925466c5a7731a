//! The transcript of a session of a run, in an order that doesn't depend on the arrival of calls.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use turnwise_trajectory::TokenId;

use crate::session::run::{Told, Transcript};
use crate::session::tree::{Session, Texts};

impl Session {
    /// Returns what happened.
    pub(crate) fn transcript(mut self) -> Transcript {
        let (order, diverged) = (self.order(), self.diverged());
        let parents = self.parents(&order);
        let told = |number: &u32| {
            let node = self.calls.remove(number)?;
            let Texts { dialogue, forced, said } = node.told;
            Some(Told {
                number: *number,
                parent: parents.get(number).copied(),
                context: node.added,
                tokens: node.sampled,
                logprobs: node.logprobs,
                finish: node.finish,
                diverged: diverged.contains(number),
                rewards: node.rewards,
                dialogue,
                forced,
                said,
            })
        };
        let calls = order.iter().filter_map(told).collect();
        Transcript { calls, reached: self.run.and_then(|run| run.reached) }
    }

    /// Returns the position of each call's parent. The first one is continued of calls that read and sampled
    /// the same. Which of them a program meant can't be told, and must not depend on arrival.
    fn parents(&self, order: &[u32]) -> BTreeMap<u32, usize> {
        let mut first: HashMap<Vec<TokenId>, usize> = HashMap::new();
        for (position, call) in order.iter().enumerate() {
            first.entry(self.path(*call)).or_insert(position);
        }
        let parent = |call: &u32| Some((*call, first[&self.path(self.calls[call].parent?)]));
        order.iter().filter_map(parent).collect()
    }

    /// Returns the calls in an order that doesn't depend on the arrival of calls that were open at once.
    ///
    /// 1. Those of the conversation that only grows are in the order of their turns. Any other call stands
    ///    before the first of them that was answered after its arrival.
    /// 2. Calls that were made one after another are in that order.
    /// 3. Conversations that were open at once, because calls of them were, stand together where the first of
    ///    them began, in the order of their tokens.
    fn order(&self) -> Vec<u32> {
        // The ends of the conversation's calls, in order.
        let ends: Vec<u64> =
            self.calls.iter().filter(|(call, _)| self.is_main(**call)).map(|(_, n)| n.times.1).collect();
        let before = |time: u64| ends.partition_point(|end| *end < time);
        let at_once = self.at_once();
        // When the first call of each group arrived, between two turns of the conversation.
        let mut began: BTreeMap<(usize, u32), u64> = BTreeMap::new();
        for (call, group) in &at_once {
            let arrived = self.calls[call].times.0;
            let first = began.entry((before(arrived), *group)).or_insert(arrived);
            *first = arrived.min(*first);
        }
        let key = |call: &u32| {
            let node = &self.calls[call];
            if self.is_main(*call) {
                return (before(node.times.1), true, 0, Vec::new(), *call);
            }
            let place = before(node.times.0);
            match at_once.get(call) {
                None => (place, false, node.times.0, Vec::new(), *call),
                Some(group) => (place, false, began[&(place, *group)], self.path(*call), *call),
            }
        };
        let mut order: Vec<u32> = self.calls.keys().copied().collect();
        order.sort_by_cached_key(key);
        order
    }

    /// Returns whether a call is of the conversation that only grows.
    fn is_main(&self, call: u32) -> bool {
        self.run.as_ref().is_some_and(|run| run.streams.is_main(call))
    }

    /// Returns the group of each call whose conversation was open at once with another one, or branched at
    /// once. Calls of the conversation that only grows connect others, and are in no group.
    fn at_once(&self) -> BTreeMap<u32, u32> {
        // Each call's conversation, by its first call. A turn of the main conversation is alone.
        let mut first: BTreeMap<u32, u32> = BTreeMap::new();
        for (call, node) in &self.calls {
            let parent = node.parent.filter(|parent| !self.is_main(*call) && !self.is_main(*parent));
            first.insert(*call, parent.map_or(*call, |parent| first[&parent]));
        }
        let mut by_arrival: Vec<(u64, u64, u32)> =
            self.calls.iter().map(|(call, node)| (node.times.0, node.times.1, first[call])).collect();
        by_arrival.sort_unstable();
        let (mut groups, mut shared) = (Groups::default(), BTreeSet::new());
        let mut last: Option<(u64, u32)> = None;
        for (arrived, answered, conversation) in by_arrival {
            last = match last {
                Some((end, other)) if arrived < end => {
                    groups.join(conversation, other);
                    shared.extend([conversation, other]);
                    Some((end.max(answered), conversation))
                }
                _ => Some((answered, conversation)),
            };
        }
        let of =
            |(call, first): (&u32, &u32)| Some((*call, groups.of(*first))).filter(|_| shared.contains(first));
        first.iter().filter(|(call, _)| !self.is_main(**call)).filter_map(of).collect()
    }
}

/// Holds conversations that belong together: each points to another one of its group, or to itself.
#[derive(Default)]
struct Groups(BTreeMap<u32, u32>);

impl Groups {
    fn of(&self, mut conversation: u32) -> u32 {
        while let Some(other) = self.0.get(&conversation) {
            conversation = *other;
        }
        conversation
    }

    fn join(&mut self, one: u32, other: u32) {
        let (one, other) = (self.of(one), self.of(other));
        if one != other {
            self.0.insert(one.max(other), one.min(other));
        }
    }
}

#[cfg(test)]
mod tests {
    use turnwise_trajectory::TokenId;

    use crate::session::of_run::NewCall;
    use crate::session::tree::Session;
    use crate::session::tree::tests::answered;

    fn begin(session: &mut Session, call: u32, parent: Option<u32>, prompt: &[TokenId]) {
        let before = session.answered_at(parent);
        let run = session.run().unwrap();
        let arrived = run.tick();
        run.begin(call, &NewCall { parent, prompt, arrived }, before);
    }

    #[test]
    fn only_calls_that_were_open_at_once_are_in_the_order_of_their_tokens() {
        // Each event begins or answers a call, by its number; calls are told by their only prompt token.
        let order = |prompts: [TokenId; 4], events: &[(bool, u32)]| {
            let mut session = Session::of_run(0);
            for (begins, call) in events {
                if *begins {
                    begin(&mut session, *call, None, &[prompts[*call as usize]]);
                } else {
                    session.add(answered(*call, None, &[prompts[*call as usize]], &[1]));
                }
            }
            let calls = session.transcript().calls;
            calls.iter().map(|call| call.context[0]).collect::<Vec<_>>()
        };
        let one_by_one =
            [(true, 0), (false, 0), (true, 1), (false, 1), (true, 2), (false, 2), (true, 3), (false, 3)];
        let at_once =
            [(true, 0), (false, 0), (true, 1), (true, 2), (false, 2), (false, 1), (true, 3), (false, 3)];
        // The first call is the conversation's, and the others are conversations beside it.
        assert_eq!(order([9, 8, 7, 6], &one_by_one), [9, 8, 7, 6], "as they were sampled");
        assert_eq!(order([9, 7, 8, 6], &one_by_one), [9, 7, 8, 6]);
        assert_eq!(order([9, 8, 7, 6], &at_once), [9, 7, 8, 6], "two at once, and one behind them");
        assert_eq!(order([9, 7, 8, 6], &at_once), [9, 7, 8, 6], "whichever came first");
        let overlapping =
            [(true, 0), (false, 0), (true, 1), (true, 2), (false, 1), (true, 3), (false, 2), (false, 3)];
        assert_eq!(order([9, 8, 7, 6], &overlapping), [9, 6, 7, 8], "each open with the next");
    }

    /// Returns all orders in which the events of two conversations can happen.
    fn interleaved(one: usize, other: usize) -> Vec<Vec<bool>> {
        if one == 0 || other == 0 {
            return vec![[vec![true; one], vec![false; other]].concat()];
        }
        let with = |first: bool, rest: Vec<Vec<bool>>| {
            rest.into_iter().map(move |rest| [vec![first], rest].concat())
        };
        with(true, interleaved(one - 1, other)).chain(with(false, interleaved(one, other - 1))).collect()
    }

    #[test]
    fn conversations_of_several_turns_at_once_have_one_order_and_one_after_another_theirs() {
        let mut orders = Vec::new();
        for events in interleaved(4, 4) {
            let mut session = Session::of_run(0);
            begin(&mut session, 0, None, &[1]);
            session.add(answered(0, None, &[1], &[2]));
            // For each conversation: its token, and the number of its call that is open or was answered.
            let (mut open, mut last) = ([None; 2], [None; 2]);
            let (mut number, mut is_at_once, mut sampled) = (0, false, Vec::new());
            for is_first in events {
                let (which, token) = if is_first { (0, 50) } else { (1, 40) };
                let prompt = if last[which].is_some() { vec![token, 7, 8] } else { vec![token] };
                if let Some(call) = open[which].take() {
                    session.add(answered(call, last[which], &prompt, &[7]));
                    last[which] = Some(call);
                } else {
                    number += 1;
                    begin(&mut session, number, last[which], &prompt);
                    open[which] = Some(number);
                    is_at_once |= open[1 - which].is_some();
                    sampled.push(number);
                }
            }
            let calls = session.transcript().calls;
            for (place, call) in calls.iter().enumerate() {
                assert!(call.parent.is_none_or(|parent| parent < place));
            }
            if is_at_once {
                orders.push(calls[1..].iter().map(|call| call.context[0]).collect::<Vec<_>>());
            } else {
                let numbers: Vec<u32> = calls[1..].iter().map(|call| call.number).collect();
                assert_eq!(numbers, sampled, "one after another");
            }
        }
        assert!(orders.len() > 20 && orders.iter().all(|order| *order == [40, 8, 50, 8]), "{orders:?}");
    }

    #[test]
    fn a_head_that_comes_before_the_answer_that_its_body_repeats_is_behind_it() {
        let mut session = Session::of_run(0);
        begin(&mut session, 0, None, &[1]);
        let early = session.run().unwrap().tick();
        session.add(answered(0, None, &[1], &[2]));
        let before = session.answered_at(Some(0));
        for (call, prompt) in [(1, [1, 2, 3]), (2, [1, 2, 4])] {
            let new = NewCall { parent: Some(0), prompt: &prompt, arrived: early };
            session.run().unwrap().begin(call, &new, before);
            session.add(answered(call, Some(0), &prompt, &[5]));
        }
        let parents: Vec<_> = session.transcript().calls.iter().map(|call| call.parent).collect();
        assert_eq!(parents, [None, Some(0), Some(0)]);
    }

    #[test]
    fn calls_of_other_conversations_stand_between_the_turns_that_they_were_made_between() {
        let mut session = Session::of_run(0);
        let mut ask = |call: u32, parent: Option<u32>, prompt: &[TokenId], sampled: &[TokenId]| {
            begin(&mut session, call, parent, prompt);
            session.add(answered(call, parent, prompt, sampled));
        };
        ask(0, None, &[1], &[2]);
        ask(1, None, &[9], &[8]);
        ask(2, Some(1), &[9, 8, 7], &[6]);
        ask(3, Some(0), &[1, 2, 3], &[4]);
        ask(4, None, &[5], &[5]);
        let calls = session.transcript().calls;
        assert_eq!(calls.iter().map(|call| call.number).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(
            calls.iter().map(|call| call.parent).collect::<Vec<_>>(),
            [None, None, Some(1), Some(0), None]
        );
    }

    #[test]
    fn of_equal_calls_the_first_one_is_continued() {
        let parents = |one: u32, other: u32| {
            let mut session = Session::of_run(0);
            begin(&mut session, 0, None, &[1]);
            session.add(answered(0, None, &[1], &[2]));
            for call in [1, 2] {
                begin(&mut session, call, None, &[5]);
            }
            for call in [1, 2] {
                session.add(answered(call, None, &[5], &[6]));
            }
            let behind = [(3, one), (4, other)];
            for (call, parent) in behind {
                begin(&mut session, call, Some(parent), &[5, 6, call]);
            }
            for (call, parent) in behind {
                session.add(answered(call, Some(parent), &[5, 6, call], &[7]));
            }
            session.transcript().calls.iter().map(|call| call.parent).collect::<Vec<_>>()
        };
        let expect = parents(1, 2);
        for (one, other) in [(2, 1), (1, 1), (2, 2)] {
            assert_eq!(parents(one, other), expect, "{one} and {other}");
        }
    }
}
