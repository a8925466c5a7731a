//! An estimator's view of a trajectory: rewards and states of its turns, no text and no tokens.

use turnwise_trajectory::Rewards;

use crate::correct::is_right;
use crate::reward_weights::RewardWeights;
use crate::scored::ScoredTrajectory;

/// Holds one number per trajectory and turn of a group: `[trajectory][turn]`.
pub type PerTurn = Vec<Vec<f64>>;

/// Holds one trajectory after shaping, as an estimator sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode<'a> {
    /// `r_ij`: the weighted sum of each turn's rewards after shaping and normalisation, less any KL penalty.
    pub rewards: Vec<f64>,
    /// The contribution of the reward named [`Rewards::FMT`] to each turn's reward.
    pub formats: Vec<f64>,
    /// Whether each turn broke the format.
    pub violations: Vec<bool>,
    /// Accuracy of the trajectory before shaping, `Σ_j acc_ij`. It has no weight and isn't normalised.
    pub outcome: f64,
    /// Whether that accuracy counts as right: [`is_right`].
    pub right: bool,
    /// Keys of the observation before each turn; shorter than `rewards` where it is not known.
    pub states: &'a [String],
    /// Keys of each turn's calls; shorter than `rewards` where they are not known.
    pub calls: &'a [String],
}

impl<'a> Episode<'a> {
    /// Returns the episode of a trajectory without its KL penalty.
    ///
    /// `shaped` replaces the reward named [`Rewards::ACC`] of the last turn. `correct_at` is the accuracy of
    /// a right trajectory.
    pub fn new(
        trajectory: &'a ScoredTrajectory,
        shaped: Option<f64>,
        weights: &RewardWeights,
        correct_at: f64,
    ) -> Self {
        let turns = &trajectory.turns;
        let mut rewards: Vec<f64> = turns.iter().map(|turn| weights.sum(turn)).collect();
        if let (Some(acc), Some(last), Some(reward)) = (shaped, turns.last(), rewards.last_mut()) {
            let mut last = last.clone();
            last.set(Rewards::ACC, acc);
            *reward = weights.sum(&last);
        }
        let format = weights.of(Rewards::FMT);
        let outcome = turns.iter().map(Rewards::acc).sum();
        Self {
            rewards,
            formats: turns.iter().map(|turn| format * turn.fmt()).collect(),
            violations: (0..turns.len()).map(|turn| trajectory.violates(turn)).collect(),
            outcome,
            right: is_right(outcome, correct_at),
            states: &trajectory.states,
            calls: &trajectory.calls,
        }
    }

    /// Replaces what the turns earn by the weighted sums of other rewards, such as normalised ones.
    #[must_use]
    pub(crate) fn earning(self, turns: &[Rewards], weights: &RewardWeights) -> Self {
        let format = weights.of(Rewards::FMT);
        Self {
            rewards: turns.iter().map(|turn| weights.sum(turn)).collect(),
            formats: turns.iter().map(|turn| format * turn.fmt()).collect(),
            ..self
        }
    }

    /// Returns `Σ_j r_ij`, the reward of the trajectory.
    pub fn total(&self) -> f64 {
        self.rewards.iter().sum()
    }

    /// Copies one value to every turn, for estimators without turn-level credit.
    pub fn copied(&self, value: f64) -> Vec<f64> {
        vec![value; self.rewards.len()]
    }
}
