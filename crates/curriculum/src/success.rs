//! Draws tasks by recent success.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use turnwise_runfile::{Above, Within};

use crate::attempts::Attempts;

/// Draws tasks by their learnability `p·(1 - p)`, where `p` is the recent share of right answers.
///
/// That is the variance of the outcome (sampling for learnability, arXiv:2408.15099; for language models
/// arXiv:2502.12272). A group whose task is always right or always wrong teaches nothing.
///
/// ```text
/// s_t ← λ·s_t + right      n_t ← λ·n_t + played          after each group of task t
/// p_t = (s_t + 1) / (n_t + 2)                            mean of Beta(1 + s_t, 1 + n_t - s_t)
/// w_t = φ + (1 - φ) · 4·p_t·(1 - p_t)                    in [φ, 1]
/// ```
///
/// Each step draws its tasks without replacement, in proportion to `w_t`. The draw uses the exponential keys
/// of Efraimidis and Spirakis (Inf. Process. Lett. 97, 2006). A task that was never played has weight 1.
///
/// Ours: the papers estimate `p` from extra rollouts and mix the best tasks with uniform draws. Here `p`
/// comes from the training groups themselves, and the floor `φ` does the mixing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Success {
    /// φ, the smallest weight of a task. A task that is right half of the time has weight 1. With φ = 1 all
    /// tasks are drawn alike.
    #[serde(deserialize_with = "Above::<0, 1>::read")]
    pub floor: f64,
    /// λ, the factor of a task's earlier attempts when it is played again. 0 keeps the newest group only, and
    /// 1 all groups.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub discount: f64,
}

impl Default for Success {
    fn default() -> Self {
        Self { floor: 0.1, discount: 0.5 }
    }
}

impl Success {
    /// Returns the weight of a task.
    pub(crate) fn weight(self, attempts: Attempts) -> f64 {
        let p = attempts.estimate();
        self.floor + (1.0 - self.floor) * 4.0 * p * (1.0 - p)
    }

    /// Returns the endless row of a step: all tasks in one weighted order, then all of them in another.
    pub(crate) fn row(
        self,
        attempts: &BTreeMap<usize, Attempts>,
        seed: u64,
        step: usize,
        tasks: usize,
    ) -> impl Iterator<Item = usize> {
        (1_u64..).flat_map(move |round| {
            let mut rng = stream(seed, step, round);
            let key = |task: usize| {
                // In (0, 1], so that the logarithm is finite.
                let uniform = 1.0 - rng.random::<f64>();
                let attempts = attempts.get(&task).copied().unwrap_or_default();
                (-uniform.ln() / self.weight(attempts), task)
            };
            let mut keys: Vec<(f64, usize)> = (0..tasks).map(key).collect();
            keys.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            keys.into_iter().map(|(_, task)| task)
        })
    }
}

/// Returns the random numbers of a step's order. `round` counts from 1: the shuffles of epochs have 0 there.
fn stream(seed: u64, step: usize, round: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(step as u64).to_le_bytes());
    key[16..24].copy_from_slice(&round.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_is_largest_at_one_half_and_never_below_the_floor() {
        let success = Success { floor: 0.25, ..Success::default() };
        let weight = |right: f64, played: f64| success.weight(Attempts { right, played });
        assert_eq!((weight(0.0, 0.0), weight(8.0, 16.0)), (1.0, 1.0));
        assert_eq!(weight(2.0, 2.0), 0.25 + 0.75 * 0.75, "p = 3/4");
        for right in [0.0, 1e9] {
            let weight = weight(right, 1e9);
            assert!((0.25..0.251).contains(&weight), "{weight}");
        }
        assert_eq!(weight(3.0, 16.0), weight(13.0, 16.0), "too hard and too easy are alike");
    }

    /// The first task of a row is task t with probability `w_t / Σ w`, by the definition of the draw.
    #[test]
    fn tasks_are_drawn_in_proportion_to_their_weights() {
        let success = Success::default();
        let of = |right: f64| Attempts { right, played: 14.0 };
        let attempts: BTreeMap<usize, Attempts> =
            [0.0, 1.0, 3.0, 7.0, 11.0, 14.0].map(of).into_iter().enumerate().collect();
        let tasks = 8;
        let weights: Vec<f64> =
            (0..tasks).map(|task| success.weight(attempts.get(&task).copied().unwrap_or_default())).collect();
        let (draws, total) = (40_000_usize, weights.iter().sum::<f64>());
        let mut counts = vec![0_usize; tasks];
        for step in 0..draws {
            counts[success.row(&attempts, 3, step, tasks).next().unwrap()] += 1;
        }
        let chi_squared: f64 = counts
            .iter()
            .zip(&weights)
            .map(|(&count, weight)| {
                let expect = draws as f64 * weight / total;
                (count as f64 - expect).powi(2) / expect
            })
            .sum();
        // The 99.9 % quantile with 7 degrees of freedom.
        assert!(chi_squared < 24.32, "χ² = {chi_squared}: {counts:?} for {weights:?}");
    }

    #[test]
    fn a_row_holds_every_task_before_any_twice() {
        let attempts = BTreeMap::from([(2, Attempts { right: 1e6, played: 1e6 })]);
        let row = || Success::default().row(&attempts, 1, 5, 6);
        let all: Vec<usize> = row().take(18).collect();
        for round in all.chunks(6) {
            let mut sorted = round.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
        }
        assert_ne!(all[..6], all[6..12]);
        assert!(row().take(18).eq(all), "the same seed and step draw the same");
    }
}
