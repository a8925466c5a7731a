//! Holds the inputs of shaping, filters and estimators beside rewards.

use serde::{Deserialize, Serialize};
use turnwise_credit::ScoredTrajectory;

/// Holds the inputs of credit that tokens and rewards don't show. Only trajectories that turnwise has played
/// and judged have them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Judged {
    #[serde(skip_serializing_if = "String::is_empty")]
    code: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    violations: Vec<bool>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    void_turn: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    states: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    calls: Vec<String>,
}

impl Judged {
    pub(crate) fn of(scored: ScoredTrajectory) -> Self {
        let ScoredTrajectory { code, violations, void_turn, states, calls, .. } = scored;
        Self { code, violations, void_turn, states, calls }
    }

    /// Fills a trajectory's inputs. Those of turns are left out if another number of turns is left.
    pub(crate) fn tell(&self, scored: &mut ScoredTrajectory) {
        let turns = scored.turns.len();
        scored.code.clone_from(&self.code);
        scored.void_turn = self.void_turn;
        if self.violations.len() == turns {
            scored.violations.clone_from(&self.violations);
        }
        if self.states.len() == turns {
            scored.states.clone_from(&self.states);
        }
        if self.calls.len() == turns {
            scored.calls.clone_from(&self.calls);
        }
    }
}
