//! Token weights: all normalisation of the loss, computed on the host over a whole optimizer batch.
//!
//! The loss is `Σ_t w_t · loss_t` and nothing divides after that, so it does not depend on how samples are
//! split into micro-batches.

use serde::{Deserialize, Serialize};
use turnwise_runfile::{Within, choice};

use crate::sample::Sample;

/// Weighs tokens by a constant length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Constant {
    /// `L_max` in tokens; unset, the run's limit of sampled tokens per trajectory.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "Within::<1, 1_000_000_000>::read")]
    pub length: Option<std::num::NonZeroUsize>,
}

/// Weighs tokens by their count alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plain {}

choice! {
    /// Chooses the weights of tokens in an optimizer batch. `N_tokens` counts trained tokens, `N_seq` the
    /// trajectories with at least one, `len_i` the trained tokens of trajectory `i`.
    pub enum WeightsConfig {
        /// `1 / N_tokens`: every token counts the same (DAPO, arXiv:2503.14476).
        "token_mean" => TokenMean(Plain),
        /// `1 / (N_seq · len_i)`: every trajectory counts the same (GRPO, arXiv:2402.03300).
        "seq_mean_token_mean" => SeqMeanTokenMean(Plain),
        /// `1 / (N_seq · L_max)`: no length bias (Dr. GRPO, arXiv:2503.20783).
        "constant" => Constant(Constant),
        /// `1 / N_seq`: the sum over each trajectory's tokens.
        "seq_mean_token_sum" => SeqMeanTokenSum(Plain),
    }
}

impl WeightsConfig {
    /// Weighs the tokens of an optimizer batch.
    ///
    /// The normalisers are those of the whole batch and stay with its samples. The batch may be split
    /// afterwards, and the losses of its parts add up to the loss of the batch.
    pub fn weigh(&self, batch: &mut [&mut Sample], token_limit: usize) {
        // Sequences of a trajectory are weighed as one.
        let same = |a: &&mut Sample, b: &&mut Sample| a.trajectory == b.trajectory;
        let masks: Vec<Vec<bool>> = batch
            .chunk_by(same)
            .map(|sequences| sequences.iter().flat_map(|sample| sample.mask.iter().copied()).collect())
            .collect();
        let weights = self.token_weights(&masks, token_limit);
        for (sequences, weights) in batch.chunk_by_mut(same).zip(weights) {
            let mut rest = &weights[..];
            for sample in sequences {
                let (own, others) = rest.split_at(sample.mask.len());
                sample.weights = own.to_vec();
                rest = others;
            }
        }
    }

    /// Returns the weight of each token of each sample of an optimizer batch; 0 where `masks` is false.
    /// `masks[i][t]` says whether token `t` of sample `i` is trained on. `token_limit` is the run's limit of
    /// sampled tokens per trajectory, used by `constant` without a length.
    pub fn token_weights(&self, masks: &[Vec<bool>], token_limit: usize) -> Vec<Vec<f32>> {
        let lengths: Vec<usize> = masks.iter().map(|mask| mask.iter().filter(|m| **m).count()).collect();
        let tokens = lengths.iter().sum::<usize>() as f64;
        let sequences = lengths.iter().filter(|n| **n > 0).count() as f64;
        let weight = |length: usize| match self {
            Self::TokenMean(_) => 1.0 / tokens,
            Self::SeqMeanTokenMean(_) => 1.0 / (sequences * length as f64),
            Self::Constant(c) => 1.0 / (sequences * c.length.map_or(token_limit, usize::from).max(1) as f64),
            Self::SeqMeanTokenSum(_) => 1.0 / sequences,
        };
        masks
            .iter()
            .zip(lengths)
            .map(|(mask, length)| {
                // Read only where a token is trained on, so no divisor is zero.
                let weight = weight(length) as f32;
                mask.iter().map(|trained| if *trained { weight } else { 0.0 }).collect()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(config: &str, expect: [&[f32]; 3]) {
        let config: WeightsConfig = serde_json::from_str(config).expect("a weighting");
        let masks = [vec![false, true, true, true], vec![true], vec![false, false]];
        let weights = config.token_weights(&masks, 10);
        assert_eq!(weights, expect.map(<[f32]>::to_vec).to_vec(), "{config:?}");
    }

    #[test]
    fn weights_of_the_four_reductions() {
        let sixth = 1.0 / 6.0;
        check(r#""token_mean""#, [&[0.0, 0.25, 0.25, 0.25], &[0.25], &[0.0, 0.0]]);
        check(r#""seq_mean_token_mean""#, [&[0.0, sixth, sixth, sixth], &[0.5], &[0.0, 0.0]]);
        check(r#""constant""#, [&[0.0, 0.05, 0.05, 0.05], &[0.05], &[0.0, 0.0]]);
        check(r#"{"constant":{"length":4}}"#, [&[0.0, 0.125, 0.125, 0.125], &[0.125], &[0.0, 0.0]]);
        check(r#""seq_mean_token_sum""#, [&[0.0, 0.5, 0.5, 0.5], &[0.5], &[0.0, 0.0]]);
    }

    #[test]
    fn a_share_of_a_batch_has_the_weights_of_the_whole() {
        let masks = [vec![false, true, true, true], vec![true], vec![false, false]];
        let sample = |(trajectory, mask): (usize, &Vec<bool>)| {
            let n = mask.len();
            Sample {
                trajectory,
                tokens: vec![0; n],
                mask: mask.clone(),
                old_logprobs: vec![0.0; n],
                rollout_logprobs: vec![0.0; n],
                advantages: vec![0.0; n],
                weights: vec![0.0; n],
                turns: vec![0; n],
            }
        };
        for name in WeightsConfig::NAMES {
            let config = WeightsConfig::named(name).expect("a name");
            let mut samples: Vec<Sample> = masks.iter().enumerate().map(sample).collect();
            config.weigh(&mut samples.iter_mut().collect::<Vec<_>>(), 10);
            let share = samples.split_off(1);
            assert_eq!(share[0].weights, config.token_weights(&masks, 10)[1], "{name}");
            let mut alone = [sample((0, &masks[1]))];
            config.weigh(&mut alone.iter_mut().collect::<Vec<_>>(), 10);
            assert_ne!(share[0].weights, alone[0].weights, "{name}: a share alone is another batch");
        }
    }

    #[test]
    fn sequences_of_a_trajectory_weigh_as_one() {
        let masks = [vec![false, true, true], vec![true], vec![true]];
        let sample = |trajectory: usize, mask: &[bool]| {
            let n = mask.len();
            Sample {
                trajectory,
                tokens: vec![0; n],
                mask: mask.to_vec(),
                old_logprobs: vec![0.0; n],
                rollout_logprobs: vec![0.0; n],
                advantages: vec![0.0; n],
                weights: vec![0.0; n],
                turns: vec![0; n],
            }
        };
        for name in WeightsConfig::NAMES {
            let config = WeightsConfig::named(name).expect("a name");
            let mut split = [sample(0, &masks[0]), sample(0, &masks[1]), sample(1, &masks[2])];
            config.weigh(&mut split.iter_mut().collect::<Vec<_>>(), 10);
            let whole = config.token_weights(&[masks[..2].concat(), masks[2].clone()], 10);
            assert_eq!([split[0].weights.clone(), split[1].weights.clone()].concat(), whole[0], "{name}");
            assert_eq!(split[2].weights, whole[1], "{name}");
        }
    }

    #[test]
    fn a_batch_without_trained_tokens_weighs_nothing() {
        for name in WeightsConfig::NAMES {
            let config = WeightsConfig::named(name).expect("a name");
            assert_eq!(config.token_weights(&[vec![false; 3], vec![]], 0), [vec![0.0; 3], vec![]]);
        }
    }
}
