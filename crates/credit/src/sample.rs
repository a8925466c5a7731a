//! A sample: one trajectory as columns of equal length, ready for the loss.

use turnwise_trajectory::{TokenId, Trajectory};

/// Holds one trajectory as training columns of length `T`. Entry `t` of each belongs to token `t`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The tokens: prompt, turns and observations as the model saw them.
    pub tokens: Vec<TokenId>,
    /// Whether the token was sampled by the policy and its trajectory is in the loss. Prompt, tool output and
    /// chat scaffold are context: false.
    pub mask: Vec<bool>,
    /// Log-probability that the ratio is taken to, in nats; 0 for context. [`Sample::new`] takes the
    /// sampler's.
    pub old_logprobs: Vec<f32>,
    /// Log-probability of the token when it was sampled, in nats; 0 for context.
    pub rollout_logprobs: Vec<f32>,
    /// Advantage of the token's turn; 0 for context.
    pub advantages: Vec<f32>,
    /// Weight of the token's loss; 0 for context, and everywhere before [`crate::WeightsConfig::weigh`].
    pub weights: Vec<f32>,
    /// Index of the token's turn, from 0; 0 for the prompt, the turn before for an observation.
    pub turns: Vec<u32>,
}

impl Sample {
    /// Returns the columns of `trajectory` with one advantage per turn. If it isn't `in_loss` because a
    /// filter dropped it, its mask is false throughout.
    ///
    /// # Panics
    /// If the number of advantages is not the number of turns.
    pub fn new(trajectory: &Trajectory, advantages: &[f64], in_loss: bool) -> Self {
        trajectory.check();
        assert_eq!(advantages.len(), trajectory.turns.len(), "one advantage per turn of {}", trajectory.task);
        let tokens = trajectory.tokens();
        let mut sample = Self {
            mask: vec![false; tokens.len()],
            old_logprobs: Vec::new(),
            rollout_logprobs: vec![0.0; tokens.len()],
            advantages: vec![0.0; tokens.len()],
            weights: vec![0.0; tokens.len()],
            turns: vec![0; tokens.len()],
            tokens,
        };
        for (j, span) in trajectory.turn_spans().into_iter().enumerate() {
            let turn = &trajectory.turns[j];
            let end = span.end + turn.observation.len();
            sample.turns[span.start..end].fill(j as u32);
            sample.mask[span.clone()].fill(in_loss);
            sample.advantages[span.clone()].fill(advantages[j] as f32);
            sample.rollout_logprobs[span].copy_from_slice(&turn.logprobs);
        }
        sample.old_logprobs.clone_from(&sample.rollout_logprobs);
        sample
    }

    /// Returns the number of tokens, `T`.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Returns whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use turnwise_trajectory::{Finish, Stop, Turn};

    use super::*;

    fn trajectory() -> Trajectory {
        let turn = |tokens: &[TokenId], logprobs: &[f32], observation: &[TokenId]| Turn {
            tokens: tokens.to_vec(),
            logprobs: logprobs.to_vec(),
            text: String::new(),
            finish: Finish::EndOfTurn,
            calls: vec![],
            observation: observation.to_vec(),
            ..Turn::default()
        };
        Trajectory {
            task: "t".into(),
            sample: 0,
            prompt: vec![1],
            turns: vec![turn(&[2, 3], &[-0.5, -0.25], &[4]), turn(&[], &[], &[]), turn(&[5], &[-1.0], &[])],
            stop: Stop::Answer,
        }
    }

    #[test]
    fn every_column_speaks_of_the_same_token() {
        let sample = Sample::new(&trajectory(), &[0.5, 9.0, -2.0], true);
        assert_eq!(sample.tokens, [1, 2, 3, 4, 5]);
        assert_eq!(sample.mask, [false, true, true, false, true]);
        assert_eq!(sample.rollout_logprobs, [0.0, -0.5, -0.25, 0.0, -1.0]);
        assert_eq!(sample.old_logprobs, sample.rollout_logprobs);
        assert_eq!(sample.advantages, [0.0, 0.5, 0.5, 0.0, -2.0]);
        assert_eq!(sample.turns, [0, 0, 0, 0, 2]);
    }

    #[test]
    fn a_dropped_trajectory_is_masked_throughout() {
        let sample = Sample::new(&trajectory(), &[0.5, 9.0, -2.0], false);
        assert_eq!(sample.mask, [false; 5]);
        assert_eq!(sample.len(), 5);
    }
}
