//! A trajectory: the tokens of prompt, turns and observations, with a log-probability per sampled token.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{CallRecord, Rewards};

/// Indexes a tokenizer's vocabulary.
pub type TokenId = u32;

/// Says why sampling of one turn stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The policy sampled a stop token; it is the turn's last token.
    #[default]
    EndOfTurn,
    /// A stop string was completed; all its tokens belong to the turn.
    StopString,
    /// The token limit was reached.
    Length,
    /// The limit that an agent's request named was reached, below the token limit. It cuts nothing off.
    Asked,
}

/// Says why a trajectory ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The last turn holds no tool call: it is the final answer.
    Answer,
    /// The last turn was cut off by the limit of tokens per turn.
    Truncated,
    /// The limit of turns was reached with a tool call.
    TurnLimit,
    /// The next observation or turn would not fit into the context.
    ContextLimit,
    /// The environment ended the trajectory after a turn with a tool call.
    Done,
}

impl Stop {
    /// Returns whether a limit ended the trajectory: of a turn's tokens, of turns, or of the context.
    ///
    /// This is the meaning of `truncated` in metrics, in `filter.truncated`, in records and on the page.
    pub fn is_truncated(self) -> bool {
        !matches!(self, Self::Answer | Self::Done)
    }
}

/// Says what a turn continues, if that isn't the turn before it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Branch {
    /// The index of the turn that it continues. None begins with the branch's context.
    #[serde(default)]
    pub parent: Option<usize>,
    /// Context before the turn, after its parent. Never sampled, never trained on.
    pub context: Vec<TokenId>,
    /// Whether its prompt holds an answer that was changed since it was sampled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub diverged: bool,
}

/// Holds one assistant turn and its feedback.
///
/// Records leave out the last four fields if they are empty.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Turn {
    /// Exactly the tokens that the policy sampled, the stop token included. Never re-tokenised.
    pub tokens: Vec<TokenId>,
    /// `logprobs[t]` is the log-probability of `tokens[t]` when it was sampled, in nats.
    pub logprobs: Vec<f32>,
    /// Decoded text of `tokens`, without the stop token.
    pub text: String,
    /// The reason for its end.
    pub finish: Finish,
    /// The tool calls found in `text`, in order.
    pub calls: Vec<CallRecord>,
    /// Context appended after the turn: tool output and chat scaffold up to the next assistant turn. Empty
    /// after the last turn. Never sampled, never trained on.
    pub observation: Vec<TokenId>,
    /// The version of the weights that sampled the tokens: the number of optimizer updates before it. 0 for a
    /// policy that isn't trained.
    #[serde(default)]
    pub version: u64,
    /// Requests to a server that failed before the one that gave the tokens.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// Rewards from the environment's session. Scoring adds `acc` and `fmt`.
    #[serde(default, skip_serializing_if = "Rewards::is_empty")]
    pub rewards: Rewards,
    /// The session's verdict on the trajectory, given at this turn. None where scoring judges the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correct: Option<bool>,
    /// User message that answers the turn, from a simulated user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
    /// Its place in a tree. None continues the turn before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<Branch>,
}

impl Turn {
    /// Returns the context that the turn brings, between the turns before it and its own tokens.
    fn context(&self) -> &[TokenId] {
        self.branch.as_ref().map_or(&[], |branch| &branch.context)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Holds one rollout of one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trajectory {
    /// The task's id; trajectories with the same id form a group.
    pub task: String,
    /// Index of the trajectory in its group.
    pub sample: u32,
    /// Tokens of the prompt, the opening of the first assistant turn included.
    pub prompt: Vec<TokenId>,
    /// The turns, oldest first.
    pub turns: Vec<Turn>,
    /// The reason for its end.
    pub stop: Stop,
}

impl Trajectory {
    /// Returns all tokens: prompt, then each turn with its observation. Length `T`.
    ///
    /// Without branches, the model saw them in this order. Otherwise it saw those of
    /// [`Trajectory::sequences`], and here every context stands before its turn.
    pub fn tokens(&self) -> Vec<TokenId> {
        let mut tokens = self.prompt.clone();
        for turn in &self.turns {
            tokens.extend_from_slice(turn.context());
            tokens.extend_from_slice(&turn.tokens);
            tokens.extend_from_slice(&turn.observation);
        }
        tokens
    }

    /// Returns the last verdict of the environment's session; none where scoring judges the answer.
    pub fn verdict(&self) -> Option<bool> {
        self.turns.iter().rev().find_map(|turn| turn.correct)
    }

    /// Returns the range of each turn's sampled tokens in [`Trajectory::tokens`].
    pub fn turn_spans(&self) -> Vec<Range<usize>> {
        let mut start = self.prompt.len();
        self.turns
            .iter()
            .map(|turn| {
                start += turn.context().len();
                let span = start..start + turn.tokens.len();
                start = span.end + turn.observation.len();
                span
            })
            .collect()
    }

    /// Returns the number of tokens, `T`.
    pub fn len(&self) -> usize {
        let of_turn = |turn: &Turn| turn.context().len() + turn.tokens.len() + turn.observation.len();
        self.prompt.len() + self.turns.iter().map(of_turn).sum::<usize>()
    }

    /// Returns whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks that each sampled token has a log-probability, and no other token.
    ///
    /// # Panics
    /// If a turn has a different number of tokens and log-probabilities.
    pub fn check(&self) {
        for (j, turn) in self.turns.iter().enumerate() {
            assert_eq!(
                turn.tokens.len(),
                turn.logprobs.len(),
                "turn {j} of task {}: a log-probability exists exactly where a token was sampled",
                self.task
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(tokens: &[TokenId], observation: &[TokenId]) -> Turn {
        Turn {
            tokens: tokens.to_vec(),
            logprobs: vec![-0.5; tokens.len()],
            observation: observation.to_vec(),
            ..Turn::default()
        }
    }

    #[test]
    fn spans_cover_exactly_the_sampled_tokens() {
        let t = Trajectory {
            task: "t".into(),
            sample: 0,
            prompt: vec![1, 2],
            turns: vec![turn(&[3, 4, 5], &[6]), turn(&[], &[]), turn(&[7], &[])],
            stop: Stop::Answer,
        };
        assert_eq!(t.tokens(), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(t.turn_spans(), [2..5, 6..6, 6..7]);
        assert_eq!(t.len(), t.tokens().len());
        t.check();
    }

    #[test]
    fn a_record_without_feedback_has_no_keys_for_it() {
        let plain = serde_json::to_value(turn(&[1], &[])).unwrap();
        let mut keys: Vec<&str> = plain.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["calls", "finish", "logprobs", "observation", "text", "tokens", "version"]);
        let rewards = [("progress", 0.25)].into_iter().collect();
        let told =
            Turn { rewards, correct: Some(true), reply: Some("And?".into()), version: 7, ..turn(&[1], &[]) };
        let line = serde_json::to_string(&told).unwrap();
        let tail = r#""version":7,"rewards":{"progress":0.25},"correct":true,"reply":"And?"}"#;
        assert!(line.ends_with(tail), "{line}");
        assert_eq!(serde_json::from_str::<Turn>(&line).unwrap(), told);
    }

    #[test]
    #[should_panic(expected = "a log-probability exists exactly where a token was sampled")]
    fn a_missing_logprob_is_a_broken_invariant() {
        let mut broken = turn(&[1, 2], &[]);
        broken.logprobs.pop();
        Trajectory { task: "t".into(), sample: 0, prompt: vec![], turns: vec![broken], stop: Stop::Answer }
            .check();
    }
}
