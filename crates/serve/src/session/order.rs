//! The transcript of a session of a run, in an order that doesn't depend on the arrival of calls.

use crate::session::run::{Told, Transcript};
use crate::session::tree::{Session, Texts};

impl Session {
    /// Returns what happened.
    pub(crate) fn transcript(mut self) -> Transcript {
        let order = self.order();
        let position = |call: u32| order.iter().position(|other| *other == call);
        let told = |number: &u32| {
            let node = self.calls.remove(number)?;
            let Texts { dialogue, forced, said } = node.told;
            Some(Told {
                number: *number,
                parent: node.parent.and_then(position),
                context: node.added,
                tokens: node.sampled,
                logprobs: node.logprobs,
                finish: node.finish,
                diverged: node.diverged,
                rewards: node.rewards,
                dialogue,
                forced,
                said,
            })
        };
        let calls = order.iter().filter_map(told).collect();
        Transcript { calls, reached: self.run.and_then(|run| run.reached) }
    }

    /// Returns the calls in an order that doesn't depend on the arrival of calls that were open at once.
    ///
    /// Those of the conversation that only grows are in the order of their turns. Any other call stands
    /// before the first of them that was answered behind its begin. Such calls are ordered by their tokens.
    fn order(&self) -> Vec<u32> {
        let is_main = |call: &u32| self.run.as_ref().is_some_and(|run| run.streams.is_main(*call));
        // The ends of the conversation's calls, in order.
        let ends: Vec<u64> =
            self.calls.iter().filter(|(call, _)| is_main(call)).map(|(_, n)| n.times.1).collect();
        let key = |call: &u32| {
            let node = &self.calls[call];
            if is_main(call) {
                (ends.partition_point(|end| *end < node.times.1), true, Vec::new(), *call)
            } else {
                let tokens = [self.prompt(node), node.sampled.clone()].concat();
                (ends.partition_point(|end| *end < node.times.0), false, tokens, *call)
            }
        };
        let mut order: Vec<u32> = self.calls.keys().copied().collect();
        order.sort_by_cached_key(key);
        order
    }
}

#[cfg(test)]
mod tests {
    use turnwise_trajectory::TokenId;

    use crate::session::tree::Session;
    use crate::session::tree::tests::answered;

    #[test]
    fn calls_of_other_conversations_are_in_the_order_of_their_tokens() {
        // Each event begins or answers a call, by its number; calls are told by their only prompt token.
        let order = |prompts: [TokenId; 4], events: &[(bool, u32)]| {
            let mut session = Session::of_run(0);
            for (begins, call) in events {
                if *begins {
                    session.run().unwrap().begin(*call, None, &[prompts[*call as usize]]);
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
        for events in [one_by_one, at_once] {
            assert_eq!(order([9, 8, 7, 6], &events), [9, 6, 7, 8]);
            assert_eq!(order([9, 7, 8, 6], &events), [9, 6, 7, 8], "whichever came first");
        }
    }

    #[test]
    fn calls_of_other_conversations_stand_between_the_turns_that_they_were_made_between() {
        let mut session = Session::of_run(0);
        let mut ask = |call: u32, parent: Option<u32>, prompt: &[TokenId], sampled: &[TokenId]| {
            session.run().unwrap().begin(call, parent, prompt);
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
}
