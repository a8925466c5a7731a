//! Gives turns their rewards, the same for every environment (arXiv:2511.14846 §3.2):
//!
//! ```text
//! r_ij = acc_ij + fmt_ij
//! acc_ij = 1 at the last turn of a trajectory whose final answer is right, else 0
//! fmt_ij = penalty (once per turn) if the turn holds an invalid call, or is the first and holds no call at all (where tools are on offer)
//! ```
//!
//! Ours: code that runs and raises is not an invalid call, unless `penalize_tool_errors` is set.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use turnwise_credit::{Normalise, RewardWeights, ScoredTrajectory, is_right};
use turnwise_runfile::{Above, Within};
use turnwise_trajectory::{CallRecord, Finish, OutputStatus, Rewards, Stop, Trajectory, Turn};

use crate::env::{Env, EnvError};
use crate::tasks::Task;

/// A reward that is at most 0.
type Penalty = Within<-1_000, 0>;

/// Configures turn rewards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RewardConfig {
    /// Reward of a turn that breaks the format. The paper has −0.1.
    #[serde(deserialize_with = "Penalty::read")]
    pub format_penalty: f64,
    /// Whether the first turn must hold a call if tools are on offer.
    pub require_first_call: bool,
    /// Whether a call whose execution fails counts as invalid.
    pub penalize_tool_errors: bool,
    /// Weights of a turn's rewards by name, whose weighted sum is its reward. A name without one weighs 1.
    #[serde(skip_serializing_if = "RewardWeights::is_empty")]
    pub weights: RewardWeights,
    /// Normalisation of rewards by name, before they are weighted and summed. Other names have none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub normalise: BTreeMap<String, Normalise>,
    /// Accuracy from which a graded trajectory is right, if the environment gives no verdict. The accuracy is
    /// the sum of the rewards named `acc`.
    #[serde(deserialize_with = "Above::<0, 1>::read")]
    pub correct_at: f64,
}

impl Default for RewardConfig {
    fn default() -> Self {
        Self {
            format_penalty: -0.1,
            require_first_call: true,
            penalize_tool_errors: false,
            weights: RewardWeights::default(),
            normalise: BTreeMap::new(),
            correct_at: 1.0,
        }
    }
}

/// Returns the rewards of a played trajectory, and whether it is right.
///
/// A session that gives a verdict or rewards named `acc` has judged the trajectory; other answers are judged
/// here. A grade without a verdict is right from `correct_at` on. Tool output can't be mistaken for the
/// policy's words: only [`Turn::text`], which holds sampled text alone, is searched for an answer.
///
/// # Errors
/// If the environment can't judge the answer.
pub fn score(
    env: &dyn Env,
    task: &Task,
    played: &Trajectory,
    config: &RewardConfig,
) -> Result<ScoredTrajectory, EnvError> {
    let last = played.turns.len().saturating_sub(1);
    let verdict = played.verdict();
    let graded = played.turns.iter().any(|turn| turn.rewards.has(Rewards::ACC));
    let grade: f64 = played.turns.iter().map(|turn| turn.rewards.acc()).sum();
    let correct = match verdict {
        Some(verdict) => verdict,
        None if graded => is_right(grade, config.correct_at),
        None => answer(env, played).map_or(Ok(false), |answer| env.is_correct(task, &answer))?,
    };
    // Nothing can be called where no tool is on offer.
    let first_call = config.require_first_call && !env.tools().is_empty();
    let breaks = |(j, turn)| breaks_format(turn, config) || (first_call && j == 0 && says_only(turn));
    let violations: Vec<bool> = played.turns.iter().enumerate().map(breaks).collect();
    let turns = violations
        .iter()
        .enumerate()
        .map(|(j, &violation)| {
            let acc = match (correct, verdict.is_some() || graded) {
                (_, true) => played.turns[j].rewards.acc(),
                (true, false) if j == last => 1.0,
                _ => 0.0,
            };
            let mut rewards = played.turns[j].rewards.clone();
            rewards.set(Rewards::ACC, acc);
            rewards.add(Rewards::FMT, if violation { config.format_penalty } else { 0.0 });
            rewards
        })
        .collect();
    Ok(ScoredTrajectory {
        turns,
        correct,
        violations,
        truncated: played.stop.is_truncated(),
        void_turn: played.turns.iter().any(|turn| is_void(env, turn)),
        states: played.turns.iter().scan(String::new(), |seen, turn| Some(state(seen, turn))).collect(),
        calls: played.turns.iter().map(asked).collect(),
        ..ScoredTrajectory::default()
    })
}

/// Maximum of bytes in an answer. It's above any long program.
const LONGEST_ANSWER: usize = 1 << 20;

/// Returns the final answer of a trajectory that ended with one. A turn that was cut off holds no answer, and
/// neither does one with an answer above the maximum.
pub fn answer(env: &dyn Env, played: &Trajectory) -> Option<String> {
    let last = played.turns.last()?;
    let answer =
        (played.stop == Stop::Answer && last.finish != Finish::Length).then(|| env.final_answer(played))?;
    answer.filter(|answer| answer.len() <= LONGEST_ANSWER)
}

/// Returns whether a turn holds an invalid call.
fn breaks_format(turn: &Turn, config: &RewardConfig) -> bool {
    turn.calls.iter().any(|call| match call {
        CallRecord::Malformed(_) => true,
        CallRecord::Executed { output, .. } => {
            config.penalize_tool_errors && output.status != OutputStatus::Ok
        }
    })
}

/// Returns whether a turn is without a call. A turn that a user answers is a part of a conversation.
fn says_only(turn: &Turn) -> bool {
    turn.calls.is_empty() && turn.reply.is_none()
}

/// Returns whether a turn has neither a complete call nor an answer (arXiv:2509.02479 §3.2), nor a user's
/// reply.
fn is_void(env: &dyn Env, turn: &Turn) -> bool {
    !turn.calls.iter().any(CallRecord::is_valid)
        && (turn.finish == Finish::Length || (turn.reply.is_none() && env.answer(&turn.text).is_none()))
}

/// Returns the text that the policy saw before a turn: the uncut observations of the turn before. Equal texts
/// are equal states.
fn state(seen: &mut String, turn: &Turn) -> String {
    let now = turn.calls.iter().map(|call| match call {
        CallRecord::Executed { output, .. } => turnwise_tools::observation(output),
        CallRecord::Malformed(call) => turnwise_tools::observation::malformed_observation(call),
    });
    let now = now.chain(turn.reply.clone());
    std::mem::replace(seen, now.collect::<Vec<_>>().join("\n"))
}

/// Returns the names and arguments of the calls of a turn that ran. The observation shows the others.
fn asked(turn: &Turn) -> String {
    let ran = turn.calls.iter().filter_map(|call| match call {
        CallRecord::Executed { call, .. } => Some((&call.name, &call.arguments)),
        CallRecord::Malformed(_) => None,
    });
    let ran: Vec<_> = ran.collect();
    if ran.is_empty() { String::new() } else { serde_json::to_string(&ran).expect("keys are strings") }
}

#[cfg(test)]
mod tests;
