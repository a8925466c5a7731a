//! A trace: the calls of one attempt at a task, a tree by token prefix.

use turnwise_trajectory::{CallRecord, Finish, Rewards, Stop, TokenId};

use crate::error::Wrong;
use crate::exact::Exact;
use crate::judged::Judged;

/// Holds the calls of one attempt at a task.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trace {
    /// Its name: that of the session, or its place.
    pub name: String,
    /// The task. Traces of one task form a group.
    pub task: String,
    /// The calls, in the order in which they were sampled.
    pub calls: Vec<Call>,
    /// Whether the attempt is right, if somebody has said so.
    pub correct: Option<bool>,
    /// The reason for its end, if it is known.
    pub stop: Option<Stop>,
    /// The inputs of credit beside rewards.
    pub(crate) judged: Judged,
    /// The file and the line, for messages.
    pub(crate) place: String,
}

/// Holds one call of a model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Call {
    /// Its number in the session, which may leave out calls that weren't answered.
    pub number: u32,
    /// The index of the call that it continues.
    pub parent: Option<usize>,
    /// Its whole prompt, which begins with all tokens of its parent.
    pub prompt: Vec<TokenId>,
    /// The sampled tokens.
    pub tokens: Vec<TokenId>,
    /// One log-probability per sampled token, in nats.
    pub logprobs: Vec<f32>,
    /// Its rewards.
    pub rewards: Rewards,
    /// The reason for its end.
    pub finish: Finish,
    /// The version of the weights that sampled it.
    pub version: u64,
    /// Whether its prompt holds an answer that was changed since it was sampled.
    pub diverged: bool,
    /// The text of the sampled tokens; empty where it isn't known.
    pub text: String,
    /// The text of the prompt after its parent; empty where it isn't known.
    pub said: String,
    /// The calls of tools in the text.
    pub tools: Vec<CallRecord>,
}

impl Call {
    /// Returns a call with nothing but its tokens.
    pub(crate) fn of(number: u32, exact: Exact) -> Self {
        let Exact { prompt, sampled, logprobs } = exact;
        Self { number, prompt, tokens: sampled, logprobs, ..Self::default() }
    }

    /// Counts the tokens up to the end of its answer.
    pub(crate) fn end(&self) -> usize {
        self.prompt.len() + self.tokens.len()
    }

    /// Returns whether a prompt begins with all that this call read and sampled. The first `known` tokens are
    /// compared already.
    fn opens(&self, prompt: &[TokenId], known: usize) -> bool {
        let (read, end) = (self.prompt.len(), self.end());
        prompt.len() >= end && prompt[known..read] == self.prompt[known..] && prompt[read..end] == self.tokens
    }
}

impl Trace {
    /// Returns a trace without calls.
    pub(crate) fn new(name: impl Into<String>, place: &str) -> Self {
        let name = name.into();
        Self { task: name.clone(), name, place: place.into(), ..Self::default() }
    }

    /// Counts the tokens that a call's parent has read and sampled.
    pub(crate) fn start(&self, place: usize) -> usize {
        self.calls[place].parent.map_or(0, |parent| self.calls[parent].end())
    }

    /// Returns the tokens that a call reads after its parent.
    pub(crate) fn context(&self, place: usize) -> &[TokenId] {
        &self.calls[place].prompt[self.start(place)..]
    }

    /// Finds the call that a prompt continues token by token: the one with the most tokens, or the latest.
    pub(crate) fn before(&self, prompt: &[TokenId]) -> Option<usize> {
        let mut best: Option<(usize, usize)> = None;
        let mut on_path = vec![false; self.calls.len()];
        for (place, call) in self.calls.iter().enumerate() {
            // The tokens of its parent are compared already.
            if call.parent.is_none_or(|parent| on_path[parent]) && call.opens(prompt, self.start(place)) {
                on_path[place] = true;
                best = best.max(Some((call.end(), place)));
            }
        }
        best.map(|(_, place)| place)
    }

    /// Finds the earlier call of a number, if a prompt continues it.
    pub(crate) fn numbered_before(&self, number: u32, prompt: &[TokenId]) -> Option<usize> {
        let place = self.calls.iter().rposition(|call| call.number == number)?;
        self.calls[place].opens(prompt, 0).then_some(place)
    }

    /// Returns a number for a call that no other has: the given one, or the smallest.
    pub(crate) fn free(&self, number: u32) -> u32 {
        let is_free = |number: &u32| self.calls.iter().all(|call| call.number != *number);
        let mut numbers = std::iter::once(number).chain(0..=u32::MAX);
        numbers.find(is_free).expect("a trace has fewer calls than numbers")
    }

    /// Gives a new call its recorded rewards, which are sums. `at` is their key.
    pub(crate) fn recorded(&mut self, call: usize, rewards: Rewards, at: &str) -> Result<(), Wrong> {
        // A sum of grades has no upper bound.
        let acc = rewards.acc();
        if let Some(why) = rewards.wrong_grade().filter(|_| acc < 1.0) {
            return Err(Wrong::at(at, why));
        }
        self.calls[call].rewards = rewards;
        Ok(())
    }

    /// Adds rewards to a call, which is an index.
    pub(crate) fn reward(&mut self, call: usize, rewards: &Rewards) -> Result<(), Wrong> {
        let all = &mut self.calls[call].rewards;
        all.extend(rewards);
        let largest = Rewards::LARGEST;
        if all.iter().all(|(_, reward)| reward.abs() <= largest) {
            return Ok(());
        }
        Err(Wrong::at("rewards", format!("a sum of call {call} is above {largest:e}")))
    }

    /// Returns whether a call has a reward.
    pub fn is_rewarded(&self) -> bool {
        self.calls.iter().any(|call| !call.rewards.is_empty())
    }

    /// Fills texts that aren't known, of sampled tokens and of those of prompts.
    pub(crate) fn spell(
        &mut self,
        sampled: impl Fn(&[TokenId]) -> String,
        read: impl Fn(&[TokenId]) -> String,
    ) {
        for place in 0..self.calls.len() {
            let start = self.start(place);
            let call = &mut self.calls[place];
            if call.text.is_empty() {
                call.text = sampled(&call.tokens);
            }
            if call.said.is_empty() {
                call.said = read(&call.prompt[start..]);
            }
        }
    }

    /// Returns whether every call continues the one before it, as one sequence.
    fn is_one_sequence(&self) -> bool {
        let places = self.calls.iter().enumerate();
        places.skip(1).all(|(place, call)| call.parent == place.checked_sub(1))
    }

    /// Returns the reason for its end. A cut call ends its sequence, and the trace if that has no other.
    pub(crate) fn stopped(&self) -> Stop {
        self.stop.unwrap_or(match self.calls.last() {
            Some(last) if last.finish == Finish::Length && self.is_one_sequence() => Stop::Truncated,
            Some(last) if !last.tools.is_empty() => Stop::Done,
            _ => Stop::Answer,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(trace: &mut Trace, prompt: &[TokenId], tokens: &[TokenId]) {
        let exact =
            Exact { prompt: prompt.to_vec(), sampled: tokens.to_vec(), logprobs: vec![-0.5; tokens.len()] };
        let parent = trace.before(prompt);
        let number = trace.calls.len() as u32;
        trace.calls.push(Call { parent, ..Call::of(number, exact) });
    }

    #[test]
    fn calls_are_a_tree_by_token_prefix() {
        let mut trace = Trace::new("t", "f:1");
        add(&mut trace, &[1, 2], &[3]);
        add(&mut trace, &[1, 2, 3, 4], &[5]);
        add(&mut trace, &[1, 2, 3, 9], &[5]);
        add(&mut trace, &[7], &[8]);
        add(&mut trace, &[1, 2, 3, 4, 5, 6], &[5]);
        add(&mut trace, &[1, 2], &[3]);
        add(&mut trace, &[1, 2, 3], &[]);
        let parents: Vec<Option<usize>> = trace.calls.iter().map(|call| call.parent).collect();
        assert_eq!(parents, [None, Some(0), Some(0), None, Some(1), None, Some(5)]);
        assert_eq!(trace.context(1), [4]);
        assert_eq!(trace.context(4), [6]);
        assert_eq!(trace.numbered_before(0, &[1, 2, 3]), Some(0));
        assert_eq!(trace.numbered_before(0, &[1, 2]), None);
        assert_eq!(trace.numbered_before(9, &[1, 2, 3]), None);
    }

    #[test]
    fn an_end_is_told_by_the_last_call() {
        let mut trace = Trace::new("t", "f:1");
        add(&mut trace, &[1], &[2]);
        assert_eq!(trace.stopped(), Stop::Answer);
        trace.calls[0].finish = Finish::Length;
        assert_eq!(trace.stopped(), Stop::Truncated);
        trace.stop = Some(Stop::TurnLimit);
        assert_eq!(trace.stopped(), Stop::TurnLimit);
        // A sequence that was cut is dropped alone.
        trace.stop = None;
        add(&mut trace, &[7], &[8]);
        trace.calls[1].finish = Finish::Length;
        assert_eq!(trace.stopped(), Stop::Answer);
        let mut trace = Trace::new("t", "f:1");
        add(&mut trace, &[1], &[2]);
        add(&mut trace, &[1, 2, 3], &[4]);
        trace.calls[1].finish = Finish::Length;
        assert_eq!(trace.stopped(), Stop::Truncated);
        trace.calls[1].finish = Finish::Asked;
        assert_eq!(trace.stopped(), Stop::Answer, "the program's limit is none of a run");
    }

    #[test]
    fn rewards_add_up_within_their_range() {
        let mut trace = Trace::new("t", "f:1");
        add(&mut trace, &[1], &[2]);
        let big: Rewards = [("acc", 6e99)].into_iter().collect();
        trace.reward(0, &big).unwrap();
        assert!(trace.reward(0, &big).unwrap_err().to_string().starts_with("rewards: a sum of call 0"));
        assert!(trace.is_rewarded());
    }
}
