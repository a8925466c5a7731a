//! Rewards from outside: formats of others have no place for them.

use serde::Deserialize;
use turnwise_trajectory::Rewards;

use crate::document::Document;
use crate::error::Wrong;
use crate::trace::Trace;

/// Holds what somebody says about a trace.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verdict {
    /// The name of the trace.
    pub(crate) session: String,
    /// The task, whose traces form a group.
    #[serde(default)]
    task: Option<String>,
    /// Rewards for the last call.
    #[serde(default)]
    rewards: Rewards,
    /// Rewards by the number of the call.
    #[serde(default)]
    turn_rewards: Vec<Rewards>,
    /// Whether the trace is right.
    #[serde(default)]
    correct: Option<bool>,
}

/// Holds the result of a trial of Harbor, as far as it says what a trace is worth.
#[derive(Deserialize)]
struct Trial {
    task_name: String,
    verifier_result: Option<Verifier>,
}

#[derive(Deserialize)]
struct Verifier {
    rewards: Option<Rewards>,
}

impl Verdict {
    /// Reads a line of rewards.
    pub(crate) fn read(document: &Document<'_>) -> Result<Self, Wrong> {
        document.read()
    }

    /// Reads the `result.json` of a trial of Harbor.
    pub(crate) fn of_trial(document: &Document<'_>) -> Result<Self, Wrong> {
        let Trial { task_name, verifier_result } = document.read()?;
        let rewards = verifier_result.and_then(|verifier| verifier.rewards).unwrap_or_default();
        Ok(Self { task: Some(task_name), rewards, ..Self::default() })
    }

    /// Gives a trace its rewards, its task, and whether it is right.
    pub(crate) fn tell(self, trace: &mut Trace) -> Result<(), Wrong> {
        let Self { task, rewards, turn_rewards, correct, .. } = self;
        if let Some(task) = task {
            trace.task = task;
        }
        trace.correct = correct.or(trace.correct);
        let wrong = |key: String, rewards: &Rewards| rewards.unfit().map(|why| Wrong::at(key, why));
        let mut of_turns = turn_rewards.iter().enumerate();
        let turn = of_turns.find_map(|(number, of_turn)| wrong(format!("turn_rewards[{number}]"), of_turn));
        if let Some(wrong) = wrong("rewards".into(), &rewards).or(turn) {
            return Err(wrong);
        }
        for (number, rewards) in turn_rewards.iter().enumerate().filter(|(_, rewards)| !rewards.is_empty()) {
            let place = trace.calls.iter().position(|call| call.number as usize == number);
            let absent =
                || Wrong::at(format!("turn_rewards[{number}]"), format!("there is no call {number}"));
            trace.reward(place.ok_or_else(absent)?, rewards)?;
        }
        match trace.calls.len().checked_sub(1) {
            Some(last) => trace.reward(last, &rewards),
            None => Ok(()),
        }
    }
}
