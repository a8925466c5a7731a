//! Evaluates a policy on held-out tasks: accuracy, format and tool use.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, channel};
use std::thread::scope;

use turnwise_credit::{ScoredTrajectory, is_graded};
use turnwise_envs::{Env, RewardConfig, Task, TaskSplit, answer};
use turnwise_model::Transformer;
use turnwise_rollout::{Game, Lost, Policy, play_telling};
use turnwise_run::Evaluation;
use turnwise_sampler::Sampling;
use turnwise_stats::{SampleOutcome, TaskOutcome};
use turnwise_trajectory::{CallRecord, OutputStatus, Rewards, Stop, Trajectory};

use crate::config::EvalConfig;
use crate::error::TrainError;
use crate::play::cache_budget::CacheBudget;
use crate::play::judged::judge;
use crate::play::losses::refuse_many;
use crate::play::policy::ModelPolicy;

/// Counts that shares are computed from.
#[derive(Default)]
pub(crate) struct Tally {
    trajectories: usize,
    correct: usize,
    /// Sum of the rewards named `acc`.
    acc: f64,
    graded: bool,
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
        self.acc += scored.turns.iter().map(Rewards::acc).sum::<f64>();
        self.graded |= is_graded(&scored.turns);
        self.turns += played.turns.len();
        self.violations += (0..scored.turns.len()).filter(|&turn| scored.violates(turn)).count();
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
            mean_acc: self.graded.then(|| self.acc / self.trajectories as f64),
            tool_success: share(self.succeeded, self.executed),
            violations: share(self.violations, self.turns),
            turns: share(self.turns, self.trajectories),
            levels: self.levels.iter().map(|(level, (right, all))| (*level, share(*right, *all))).collect(),
            ..Evaluation::default()
        }
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Plays the first held-out tasks. The same model, seed and configuration give the same result, and every
/// evaluation of a run draws the same random numbers.
pub fn evaluate(
    model: &Transformer,
    game: &Game<'_>,
    config: &EvalConfig,
    rewards: &RewardConfig,
    seed: u64,
    cache: CacheBudget,
    progress: &mut (dyn FnMut(usize, usize) + Send),
) -> Result<Evaluation, TrainError> {
    let held_out = 0..game.env.count(TaskSplit::HeldOut).min(config.tasks);
    let held_out = held_out.map(|index| game.env.task(TaskSplit::HeldOut, index));
    let held_out = held_out.collect::<Result<Vec<Task>, _>>()?;
    let tasks: Vec<&Task> = held_out.iter().collect();
    let sampling = Sampling { temperature: config.temperature, ..Sampling::default() };
    let mut policy =
        || -> Box<dyn Policy> { Box::new(ModelPolicy::on_all_cores(model, sampling, seed).within(cache)) };
    let trial = Trial { game, tasks: &tasks, samples: config.samples, rewards };
    trial.run(&mut policy, progress, &mut |_, _, _, _| {})
}

/// Holds tasks for any policy to play, and the rules for judging them.
pub struct Trial<'a> {
    /// The rules of play.
    pub game: &'a Game<'a>,
    /// The tasks.
    pub tasks: &'a [&'a Task],
    /// Trajectories per task.
    pub samples: usize,
    /// Turn rewards.
    pub rewards: &'a RewardConfig,
}

/// Gets the index, the task, the trajectory and the rewards of each judged trajectory. Indices go task by
/// task, then by sample.
pub type Keep<'k> = dyn FnMut(usize, &Task, &Trajectory, &ScoredTrajectory) + Send + 'k;

impl Trial<'_> {
    /// Plays the tasks in parts, each with a new policy, and hands every judged trajectory to `keep`.
    /// Trajectories are handed over as soon as they have ended, whatever happens to the others. A task whose
    /// trajectories were all lost has no outcome.
    ///
    /// # Errors
    /// If the policy can't sample, or more than half of the trajectories were lost.
    pub fn run(
        &self,
        policy: &mut dyn FnMut() -> Box<dyn Policy>,
        progress: &mut (dyn FnMut(usize, usize) + Send),
        keep: &mut Keep<'_>,
    ) -> Result<Evaluation, TrainError> {
        let Self { game, tasks, samples, .. } = *self;
        // Few trajectories at a time keep the cache small.
        let at_once = (256 / samples.max(1)).max(1);
        let (tell, ended) = channel();
        let (mut lost, mut env_faults) = (Vec::new(), 0);
        let (played, judged) = scope(|scope| {
            let judge = scope.spawn(move || self.judge(&ended, keep));
            let mut play = || -> Result<(), TrainError> {
                for (part, now) in tasks.chunks(at_once).enumerate() {
                    let (first, total) = (part * at_once, tasks.len() * samples);
                    let mut progress = |done: usize, _: usize| progress(first * samples + done, total);
                    let mut ended = |task: usize, trajectory: &Trajectory| {
                        // Sending fails only if the judge has panicked.
                        let _ = tell.send((first + task, trajectory.clone()));
                    };
                    let mut policy = policy();
                    let samples = samples as u32;
                    let played = play_telling(game, now, samples, &mut *policy, &mut progress, &mut ended)?;
                    // Why nothing can be played says more than what was lost by it.
                    game.env.check()?;
                    env_faults += played.env_faults;
                    lost.extend(played.lost);
                    refuse_many(&lost, (first + now.len()) * samples as usize)?;
                }
                Ok(())
            };
            let played = play();
            drop(tell);
            (played, judge.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        played?;
        let (judged, unjudged) = judged;
        lost.extend(unjudged);
        refuse_many(&lost, tasks.len() * samples)?;
        let lost: Vec<String> = lost.iter().map(Lost::to_string).collect();
        Ok(Evaluation { rollouts_lost: lost.len(), lost, env_faults, ..judged })
    }

    /// Judges trajectories in the order of arrival, which doesn't change the result.
    fn judge(&self, ended: &Receiver<(usize, Trajectory)>, keep: &mut Keep<'_>) -> (Evaluation, Vec<Lost>) {
        let Self { game, tasks, samples, rewards } = *self;
        let (mut judged, mut lost) = (Judged::default(), Vec::new());
        for (at, trajectory) in ended {
            let (task, place) = (tasks[at], at * samples + trajectory.sample as usize);
            let scored = match judge(game.env, task, &trajectory, rewards) {
                Ok(scored) => scored,
                Err(unjudged) => {
                    lost.push((place, unjudged));
                    continue;
                }
            };
            keep(place, task, &trajectory, &scored);
            judged.add(game.env, (at, place), task, &trajectory, &scored);
        }
        // Trajectories arrive in any order.
        lost.sort_by_key(|(place, _)| *place);
        let lost = lost.into_iter().map(|(_, lost)| lost).collect();
        (judged.evaluation(tasks, samples), lost)
    }
}

/// Collects judged trajectories, in any order.
#[derive(Default)]
pub(crate) struct Judged {
    tally: Tally,
    by_place: BTreeMap<usize, SampleOutcome>,
    /// Tasks with an answer that has no value to vote for.
    uncounted: BTreeSet<usize>,
}

impl Judged {
    /// Adds a trajectory of the task `at`. Its `place` counts task by task, then by sample.
    pub(crate) fn add(
        &mut self,
        env: &dyn Env,
        (at, place): (usize, usize),
        task: &Task,
        played: &Trajectory,
        scored: &ScoredTrajectory,
    ) {
        self.tally.add(task.level, played, scored);
        let answer = answer(env, played);
        let vote = answer.as_ref().map(|answer| env.vote(task, answer));
        if vote == Some(None) {
            self.uncounted.insert(at);
        }
        let vote = vote.flatten().filter(|vote| Some(vote) != answer.as_ref());
        let failure = (!scored.correct).then(|| failure(played, answer.is_some()).to_string());
        self.by_place.insert(place, SampleOutcome { answer, vote, failure });
    }

    /// Returns the evaluation. A task without trajectories has no outcome.
    pub(crate) fn evaluation(&self, tasks: &[&Task], samples: usize) -> Evaluation {
        let outcome = |(at, task): (usize, &&Task)| {
            let mine = self.by_place.range(at * samples..(at + 1) * samples);
            let samples: Vec<SampleOutcome> = mine.map(|(_, outcome)| outcome.clone()).collect();
            let uncounted = self.uncounted.contains(&at);
            let whole = TaskOutcome { task: task.id.clone(), level: task.level, samples, uncounted };
            Some(whole).filter(|task| !task.samples.is_empty())
        };
        let outcomes = tasks.iter().enumerate().filter_map(outcome).collect();
        Evaluation { outcomes, ..self.tally.evaluation() }
    }
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
