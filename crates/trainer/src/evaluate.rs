//! Held-out evaluation: accuracy and manners of a policy on tasks that training never sees.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use turnwise_envs::{RewardConfig, Task, answer, score};
use turnwise_model::Transformer;
use turnwise_rollout::{Game, Policy, play};
use turnwise_sampler::Sampling;
use turnwise_stats::{SampleOutcome, TaskOutcome};
use turnwise_trajectory::{CallRecord, OutputStatus, ScoredTrajectory, Stop, Trajectory};

use crate::cache_budget::CacheBudget;
use crate::config::EvalConfig;
use crate::error::TrainError;
use crate::policy::ModelPolicy;

/// What an evaluation found. Shares are between 0 and 1.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Evaluation {
    /// Trajectories played.
    pub trajectories: usize,
    /// Share of trajectories whose final answer is right.
    pub accuracy: f64,
    /// Share of valid calls whose execution went well.
    pub tool_success: f64,
    /// Share of turns that broke the format.
    pub violations: f64,
    /// Turns per trajectory.
    pub turns: f64,
    /// Accuracy by level of the task.
    pub levels: BTreeMap<u32, f64>,
    /// Task by task, from which [`turnwise_stats::summarize`] takes intervals, pass@k and majority@k.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<TaskOutcome>,
}

/// Counts from which shares are taken.
#[derive(Default)]
pub(crate) struct Tally {
    trajectories: usize,
    correct: usize,
    turns: usize,
    violations: usize,
    executed: usize,
    succeeded: usize,
    levels: BTreeMap<u32, (usize, usize)>,
}

impl Tally {
    pub(crate) fn add(&mut self, level: u32, played: &Trajectory, scored: &ScoredTrajectory) {
        self.trajectories += 1;
        self.correct += usize::from(scored.correct);
        self.turns += played.turns.len();
        self.violations += scored.turns.iter().filter(|turn| turn.fmt < 0.0).count();
        for call in played.turns.iter().flat_map(|turn| &turn.calls) {
            if let CallRecord::Executed { output, .. } = call {
                self.executed += 1;
                self.succeeded += usize::from(output.status == OutputStatus::Ok);
            }
        }
        let level = self.levels.entry(level).or_default();
        level.0 += usize::from(scored.correct);
        level.1 += 1;
    }

    pub(crate) fn evaluation(&self) -> Evaluation {
        Evaluation {
            trajectories: self.trajectories,
            accuracy: share(self.correct, self.trajectories),
            tool_success: share(self.succeeded, self.executed),
            violations: share(self.violations, self.turns),
            turns: share(self.turns, self.trajectories),
            levels: self.levels.iter().map(|(level, (right, all))| (*level, share(*right, *all))).collect(),
            outcomes: Vec::new(),
        }
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Plays the first held-out tasks. The same model, seed and configuration give the same result, and every evaluation
/// of a run draws the same random numbers.
pub fn evaluate(
    model: &Transformer,
    game: &Game<'_>,
    config: &EvalConfig,
    rewards: &RewardConfig,
    seed: u64,
    cache: CacheBudget,
    progress: &mut (dyn FnMut(usize, usize) + Send),
) -> Result<Evaluation, TrainError> {
    let tasks: Vec<&Task> = game.env.held_out().iter().take(config.tasks).collect();
    let sampling = Sampling { temperature: config.temperature, ..Sampling::default() };
    let mut policy =
        || -> Box<dyn Policy> { Box::new(ModelPolicy::on_all_cores(model, sampling, seed).within(cache)) };
    let trial = Trial { game, tasks: &tasks, samples: config.samples, rewards };
    trial.run(&mut policy, progress, &mut |_, _, _| {})
}

/// Tasks to be played by any policy, and judged.
pub struct Trial<'a> {
    /// What they are played with.
    pub game: &'a Game<'a>,
    /// The tasks.
    pub tasks: &'a [&'a Task],
    /// Trajectories per task.
    pub samples: usize,
    /// Turn rewards.
    pub rewards: &'a RewardConfig,
}

impl Trial<'_> {
    /// Plays part after part, each with a policy of its own, and tells `keep` every trajectory with its rewards.
    pub fn run(
        &self,
        policy: &mut dyn FnMut() -> Box<dyn Policy>,
        progress: &mut (dyn FnMut(usize, usize) + Send),
        keep: &mut dyn FnMut(&Task, &Trajectory, &ScoredTrajectory),
    ) -> Result<Evaluation, TrainError> {
        let Self { game, tasks, samples, rewards } = *self;
        let mut tally = Tally::default();
        let mut outcomes = Vec::new();
        // A bounded number of trajectories at a time, so that the cache stays small.
        let at_once = (256 / samples.max(1)).max(1);
        for (part, now) in tasks.chunks(at_once).enumerate() {
            let (before, total) = (part * at_once * samples, tasks.len() * samples);
            let played = play(game, now, samples as u32, &mut *policy(), &mut |done, _| {
                progress(before + done, total);
            })?;
            for (task, group) in now.iter().zip(&played.groups) {
                let mut outcome =
                    TaskOutcome { task: task.id.clone(), level: task.level, ..TaskOutcome::default() };
                for trajectory in group {
                    let scored = score(game.env, task, trajectory, rewards)?;
                    tally.add(task.level, trajectory, &scored);
                    keep(task, trajectory, &scored);
                    let answer = answer(game.env, trajectory);
                    let vote = answer.as_ref().map(|answer| game.env.vote(task, answer));
                    outcome.uncounted |= vote == Some(None);
                    let vote = vote.flatten().filter(|vote| Some(vote) != answer.as_ref());
                    let failure =
                        (!scored.correct).then(|| failure(trajectory, answer.is_some()).to_string());
                    outcome.samples.push(SampleOutcome { answer, vote, failure });
                }
                outcomes.push(outcome);
            }
        }
        Ok(Evaluation { outcomes, ..tally.evaluation() })
    }
}

/// Why a trajectory came to no right answer: the first reason that applies.
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
        Stop::Answer if calls().any(|call| !call.is_valid()) => "wrong_answer_after_malformed_call",
        Stop::Answer if calls().any(failed) => "wrong_answer_after_failed_call",
        Stop::Answer if calls().next().is_none() => "wrong_answer_without_call",
        Stop::Answer => "wrong_answer",
    }
}
