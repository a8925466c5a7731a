//! A sample: one sequence of a trajectory as columns of equal length, ready for the loss.

use turnwise_trajectory::{Sequence, TokenId, Trajectory};

/// Holds one sequence of a trajectory as training columns of length `T`. Entry `t` of each belongs to token
/// `t`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Number of its trajectory in the batch. Sequences of a trajectory follow each other.
    pub trajectory: usize,
    /// The tokens: prompt, turns and observations as the model saw them.
    pub tokens: Vec<TokenId>,
    /// Whether the token was sampled by the policy and its sequence is in the loss. Prompt, tool output and
    /// chat scaffold are context: false. A beginning shared with an earlier sequence is context too.
    pub mask: Vec<bool>,
    /// Log-probability that the ratio is taken to, in nats; 0 for context. [`Sample::of`] takes the
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
    /// Returns the columns of each sequence of `trajectory`, the batch's `number`-th, with one advantage per
    /// turn. The mask of a sequence that isn't `in_loss`, because a filter dropped it, is false throughout.
    ///
    /// # Panics
    /// If the number of advantages is not the number of turns.
    pub fn of(
        trajectory: &Trajectory,
        number: usize,
        advantages: &[f64],
        in_loss: impl Fn(&Sequence) -> bool,
    ) -> Vec<Self> {
        trajectory.check();
        assert_eq!(advantages.len(), trajectory.turns.len(), "one advantage per turn of {}", trajectory.task);
        let sequences = trajectory.sequences().into_iter();
        sequences
            .map(|sequence| {
                let in_loss = in_loss(&sequence);
                Self::columns(trajectory, number, advantages, sequence, in_loss)
            })
            .collect()
    }

    fn columns(
        trajectory: &Trajectory,
        number: usize,
        advantages: &[f64],
        sequence: Sequence,
        in_loss: bool,
    ) -> Self {
        let Sequence { tokens, turns, .. } = sequence;
        let mut sample = Self {
            trajectory: number,
            mask: vec![false; tokens.len()],
            old_logprobs: Vec::new(),
            rollout_logprobs: vec![0.0; tokens.len()],
            advantages: vec![0.0; tokens.len()],
            weights: vec![0.0; tokens.len()],
            turns: vec![0; tokens.len()],
            tokens,
        };
        for (j, span) in turns {
            let turn = &trajectory.turns[j];
            // Tokens after it are the turn's too, up to the next one.
            sample.turns[span.start..].fill(j as u32);
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
    use turnwise_trajectory::{Branch, Finish, Stop, Turn};

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
        let sample = Sample::of(&trajectory(), 0, &[0.5, 9.0, -2.0], |_| true).remove(0);
        assert_eq!(sample.tokens, [1, 2, 3, 4, 5]);
        assert_eq!(sample.mask, [false, true, true, false, true]);
        assert_eq!(sample.rollout_logprobs, [0.0, -0.5, -0.25, 0.0, -1.0]);
        assert_eq!(sample.old_logprobs, sample.rollout_logprobs);
        assert_eq!(sample.advantages, [0.0, 0.5, 0.5, 0.0, -2.0]);
        assert_eq!(sample.turns, [0, 0, 0, 0, 2]);
    }

    #[test]
    fn a_dropped_trajectory_is_masked_throughout() {
        let sample = Sample::of(&trajectory(), 0, &[0.5, 9.0, -2.0], |_| false).remove(0);
        assert_eq!(sample.mask, [false; 5]);
        assert_eq!(sample.len(), 5);
    }

    #[test]
    fn a_branch_is_a_sample_whose_shared_beginning_is_context() {
        let mut tree = trajectory();
        tree.turns[0].observation.clear();
        tree.turns[1] = Turn { tokens: vec![7], logprobs: vec![-2.0], ..Turn::default() };
        tree.turns[1].branch = Some(Branch { context: vec![6], ..Branch::default() });
        tree.turns[2].branch = Some(Branch { parent: Some(0), context: vec![4], diverged: true });
        let branch = Turn { tokens: vec![9], logprobs: vec![-3.0], ..Turn::default() };
        let branch_at = Branch { parent: Some(0), context: vec![8], diverged: false };
        tree.turns.push(Turn { branch: Some(branch_at), ..branch });
        let samples = Sample::of(&tree, 3, &[1.0, 2.0, 3.0, 4.0], |sequence| !sequence.diverged);
        let tokens: Vec<_> = samples.iter().map(|sample| sample.tokens.clone()).collect();
        assert_eq!(tokens, [vec![1, 2, 3, 4, 5], vec![6, 7], vec![1, 2, 3, 8, 9]]);
        assert!(samples.iter().all(|sample| sample.trajectory == 3));
        assert_eq!(samples[0].mask, [false; 5], "diverged");
        assert_eq!(samples[1].mask, [false, true]);
        assert_eq!(samples[2].mask, [false, false, false, false, true]);
        assert_eq!(samples[2].advantages, [0.0, 0.0, 0.0, 0.0, 4.0]);
        assert_eq!(samples[2].turns, [0, 0, 0, 0, 3]);
    }
}
