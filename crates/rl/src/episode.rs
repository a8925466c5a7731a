//! What an estimator sees of a trajectory: rewards and states of its turns, no text and no tokens.

use turnwise_trajectory::{ScoredTrajectory, TurnReward};

/// One number per trajectory and turn of a group: `[trajectory][turn]`.
pub type PerTurn = Vec<Vec<f64>>;

/// One trajectory, after shaping.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode<'a> {
    /// Reward of each turn, shaped.
    pub rewards: Vec<TurnReward>,
    /// Whether each turn broke the format.
    pub violations: Vec<bool>,
    /// What the KL penalty takes off each turn's reward; shorter than `rewards` where there is none.
    pub kl_penalties: Vec<f64>,
    /// Accuracy of the trajectory before shaping, `Σ_j acc_ij`.
    pub outcome: f64,
    /// Keys of what the policy saw before each turn; shorter than `rewards` where it is not known.
    pub states: &'a [String],
    /// Keys of what each turn asked of its tools; shorter than `rewards` where it is not known.
    pub calls: &'a [String],
}

impl<'a> Episode<'a> {
    /// The episode of a recorded trajectory, not shaped.
    pub fn new(trajectory: &'a ScoredTrajectory) -> Self {
        Self {
            rewards: trajectory.turns.clone(),
            violations: (0..trajectory.turns.len()).map(|turn| trajectory.violates(turn)).collect(),
            kl_penalties: Vec::new(),
            outcome: trajectory.turns.iter().map(|r| r.acc).sum(),
            states: &trajectory.states,
            calls: &trajectory.calls,
        }
    }

    fn each(&self) -> impl Iterator<Item = f64> {
        let penalties = self.kl_penalties.iter().copied().chain(std::iter::repeat(0.0));
        self.rewards.iter().zip(penalties).map(|(reward, penalty)| reward.total() - penalty)
    }

    /// `r_ij` of each turn, less its KL penalty.
    pub fn totals(&self) -> Vec<f64> {
        self.each().collect()
    }

    /// `Σ_j r_ij`, the reward of the trajectory.
    pub fn total(&self) -> f64 {
        self.each().sum()
    }

    /// One value copied to every turn: what an estimator without turn-level credit does.
    pub fn copied(&self, value: f64) -> Vec<f64> {
        vec![value; self.rewards.len()]
    }
}
