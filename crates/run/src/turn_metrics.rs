//! The numbers of a step at one turn index, over all trajectories that reach it.

use serde::{Deserialize, Serialize};

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

/// Counts the calls of a turn by outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TurnCalls {
    /// Trajectories that reach the turn.
    pub turns: usize,
    /// Calls that could not be parsed or checked.
    pub malformed: usize,
    /// Calls that ran to their end.
    pub ok: usize,
    /// Calls that raised.
    pub error: usize,
    /// Calls that a limit stopped, or that were not run.
    pub stopped: usize,
}

impl TurnCalls {
    /// Counts the calls that failed: malformed ones, errors and stopped ones.
    pub fn failed(self) -> usize {
        self.malformed + self.error + self.stopped
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
