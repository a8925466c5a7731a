//! The numbers of a step at one turn index, over all trajectories that reach it.

use serde::{Deserialize, Serialize};
pub use turnwise_credit::TurnCalls;

use crate::metric::Metric;

/// Holds one entry of `by_turn`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TurnMetrics {
    /// Rewards, returns and advantages.
    pub credit: TurnCredit,
    /// Numbers of calls by outcome.
    pub calls: TurnCalls,
    /// Mean of `-log p` over the tokens sampled there, in nats; 0 without any.
    pub entropy: Metric,
    /// Statistics of the updates; none where no token of the turn was trained on.
    pub loss: Option<TurnLoss>,
}

/// Holds means of a turn's credit.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TurnCredit {
    /// Trajectories that reach the turn.
    pub turns: usize,
    /// Reward, shaping included.
    pub reward: Metric,
    /// Return.
    pub returns: Metric,
    /// Advantage.
    pub advantage: Metric,
    /// Absolute advantage.
    pub abs_advantage: Metric,
}

impl From<turnwise_credit::TurnCredit> for TurnCredit {
    fn from(credit: turnwise_credit::TurnCredit) -> Self {
        let turnwise_credit::TurnCredit { turns, reward, returns, advantage, abs_advantage } = credit;
        Self {
            turns,
            reward: reward.into(),
            returns: returns.into(),
            advantage: advantage.into(),
            abs_advantage: abs_advantage.into(),
        }
    }
}

/// Holds weighted means over a turn's trained tokens.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TurnLoss {
    /// Importance ratio.
    pub ratio: Metric,
    /// Share of tokens whose surrogate was clipped.
    pub clipped: Metric,
    /// KL between the policies before and after, in nats.
    pub old_kl: Metric,
    /// KL to the reference, in nats.
    pub ref_kl: Metric,
}
