//! The evaluation of judged trajectories, whoever played them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use turnwise_credit::ScoredTrajectory;
use turnwise_envs::{Env, RewardConfig, Task, answer};
use turnwise_rollout::Lost;
use turnwise_run::Evaluation;
use turnwise_stats::{SampleOutcome, TaskOutcome};
use turnwise_trajectory::{CallRecord, OutputStatus, Stop, Trajectory};

use super::tally::Tally;
use crate::error::TrainError;
use crate::play::lost_rollouts::refuse_many;

/// Holds judged trajectories by their place.
pub(crate) type Judgements = BTreeMap<usize, Judged>;

/// Holds what a judged trajectory counts.
#[derive(Serialize, Deserialize)]
pub(crate) struct Judged {
    tally: Tally,
    outcome: SampleOutcome,
    /// Whether its answer has no value to vote for.
    uncounted: bool,
}

impl Judged {
    /// Counts a judged trajectory of a task.
    pub(crate) fn of(env: &dyn Env, task: &Task, played: &Trajectory, scored: &ScoredTrajectory) -> Self {
        let mut tally = Tally::default();
        tally.add(task.level, played, scored);
        let answer = answer(env, played);
        let vote = answer.as_ref().map(|answer| env.vote(task, answer));
        let uncounted = vote == Some(None);
        let vote = vote.flatten().filter(|vote| Some(vote) != answer.as_ref());
        let failure = (!scored.correct).then(|| failure(played, answer.is_some()).to_string());
        Self { tally, outcome: SampleOutcome { answer, vote, failure }, uncounted }
    }
}

/// Returns the evaluation of judged trajectories, beside those that were lost. A task without them has no
/// outcome.
///
/// # Errors
/// If more than half of the trajectories were lost.
pub(crate) fn evaluation(
    judged: &Judgements,
    lost: &[Lost],
    tasks: &[&Task],
    samples: usize,
    rewards: &RewardConfig,
) -> Result<Evaluation, TrainError> {
    refuse_many(lost, tasks.len() * samples)?;
    let mut tally = Tally::default();
    for judged in judged.values() {
        tally.merge(&judged.tally);
    }
    let outcome = |(at, task): (usize, &&Task)| {
        let mine = || judged.range(at * samples..(at + 1) * samples).map(|(_, judged)| judged);
        let samples: Vec<SampleOutcome> = mine().map(|judged| judged.outcome.clone()).collect();
        let uncounted = mine().any(|judged| judged.uncounted);
        let whole = TaskOutcome { task: task.id.clone(), level: task.level, samples, uncounted };
        Some(whole).filter(|task| !task.samples.is_empty())
    };
    let outcomes = tasks.iter().enumerate().filter_map(outcome).collect();
    let lost: Vec<String> = lost.iter().map(Lost::to_string).collect();
    let correct_at = tally.by_grade.then_some(rewards.correct_at);
    Ok(Evaluation { outcomes, correct_at, rollouts_lost: lost.len(), lost, ..tally.evaluation() })
}

/// Returns the reason for a wrong or missing answer: the first that applies.
fn failure(played: &Trajectory, answered: bool) -> &'static str {
    let calls = || played.turns.iter().flat_map(|turn| &turn.calls);
    let failed = |call: &CallRecord| match call {
        CallRecord::Executed { output, .. } => output.status != OutputStatus::Ok,
        CallRecord::Malformed(_) => false,
    };
    match played.stop {
        Stop::Truncated => "turn_too_long",
        Stop::TurnLimit => "too_many_turns",
        Stop::ContextLimit => "context_full",
        Stop::Answer if !answered => "no_answer",
        _ if calls().any(|call| !call.is_valid()) => "wrong_answer_after_malformed_call",
        _ if calls().any(failed) => "wrong_answer_after_failed_call",
        _ if calls().next().is_none() => "wrong_answer_without_call",
        Stop::Answer | Stop::Done => "wrong_answer",
    }
}
