//! Turn rewards, the same for every environment (arXiv:2511.14846 §3.2):
//!
//! ```text
//! r_ij = acc_ij + fmt_ij
//! acc_ij = 1 at the last turn of a trajectory whose final answer is right, else 0
//! fmt_ij = penalty (once per turn) if the turn holds an invalid call, or is the first and holds no call at all
//! ```
//!
//! Ours: code that runs and raises is not an invalid call, unless `penalize_tool_errors` says so.

use serde::{Deserialize, Serialize};
use turnwise_trajectory::{
    CallRecord, Finish, OutputStatus, ScoredTrajectory, Stop, Trajectory, Turn, TurnReward,
};

use crate::env::{Env, Task};

/// Reward settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RewardConfig {
    /// Added to a turn that breaks the format; the paper's −0.1.
    pub format_penalty: f64,
    /// Whether the first turn must hold a call.
    pub require_first_call: bool,
    /// Whether a call whose execution fails counts as invalid.
    pub penalize_tool_errors: bool,
}

impl Default for RewardConfig {
    fn default() -> Self {
        Self { format_penalty: -0.1, require_first_call: true, penalize_tool_errors: false }
    }
}

/// Rewards of a played trajectory. Tool output can't be mistaken for the policy's words: only [`Turn::text`], which
/// holds sampled text alone, is searched for an answer.
pub fn score(env: &dyn Env, task: &Task, played: &Trajectory, config: &RewardConfig) -> ScoredTrajectory {
    let last = played.turns.len().saturating_sub(1);
    let correct = answer(env, played).is_some_and(|answer| env.is_correct(task, &answer));
    let turns = played
        .turns
        .iter()
        .enumerate()
        .map(|(j, turn)| TurnReward {
            acc: if correct && j == last { 1.0 } else { 0.0 },
            fmt: if breaks_format(j, turn, config) { config.format_penalty } else { 0.0 },
        })
        .collect();
    ScoredTrajectory {
        turns,
        correct,
        truncated: matches!(played.stop, Stop::Truncated | Stop::ContextLimit),
        void_turn: played.turns.iter().any(|turn| is_void(env, turn)),
        states: played.turns.iter().scan(String::new(), |seen, turn| Some(state(seen, turn))).collect(),
        ..ScoredTrajectory::default()
    }
}

/// The final answer of a trajectory that ended with one. A turn that was cut off holds no answer.
pub fn answer(env: &dyn Env, played: &Trajectory) -> Option<String> {
    let last = played.turns.last()?;
    (played.stop == Stop::Answer && last.finish != Finish::Length).then(|| env.answer(&last.text))?
}

fn breaks_format(j: usize, turn: &Turn, config: &RewardConfig) -> bool {
    let invalid = turn.calls.iter().any(|call| match call {
        CallRecord::Malformed(_) => true,
        CallRecord::Executed { output, .. } => {
            config.penalize_tool_errors && output.status != OutputStatus::Ok
        }
    });
    invalid || (config.require_first_call && j == 0 && turn.calls.is_empty())
}

/// A turn with neither a complete call nor an answer (arXiv:2509.02479 §3.2).
fn is_void(env: &dyn Env, turn: &Turn) -> bool {
    !turn.calls.iter().any(CallRecord::is_valid)
        && (turn.finish == Finish::Length || env.answer(&turn.text).is_none())
}

/// What the policy saw before a turn: the tool output of the turn before. Equal texts are equal states.
fn state(seen: &mut String, turn: &Turn) -> String {
    let now = turn.calls.iter().filter_map(|call| match call {
        CallRecord::Executed { output, .. } => Some(turnwise_tools::observation(output)),
        CallRecord::Malformed(_) => None,
    });
    std::mem::replace(seen, now.collect::<Vec<_>>().join("\n"))
}
