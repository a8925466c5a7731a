//! Evaluates a policy on held-out tasks: accuracy, format and tool use.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, channel};
use std::thread::scope;

use serde::{Deserialize, Serialize};
use turnwise_credit::{ScoredTrajectory, is_graded};
use turnwise_envs::{Env, RewardConfig, Task, TaskSplit, answer, read_tasks};
use turnwise_model::Transformer;
use turnwise_ranks::{Alone, Ranks};
use turnwise_rollout::remote::tokens::{Rule, Stream, TokenPolicy};
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
use crate::play::policy::{EVALUATION, ModelPolicy};
use crate::play::servers::RunServers;
use crate::ranks::agree::{agree, gather};
use crate::ranks::deal::{deal, places};

/// Counts that shares are computed from.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    trajectories: usize,
    correct: usize,
    /// Sum of the grades: of the rewards named `acc` of a trajectory, at most 1.
    acc: f64,
    graded: bool,
    /// Whether the threshold of grades has judged a grade between 0 and 1.
    by_grade: bool,
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
        self.acc += scored.turns.iter().map(Rewards::acc).sum::<f64>().min(1.0);
        let graded = is_graded(&scored.turns);
        self.graded |= graded;
        self.by_grade |= graded && played.verdict().is_none();
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

    /// Adds the counts of others.
    fn merge(&mut self, other: &Self) {
        self.trajectories += other.trajectories;
        self.correct += other.correct;
        self.acc += other.acc;
        self.graded |= other.graded;
        self.by_grade |= other.by_grade;
        self.turns += other.turns;
        self.violations += other.violations;
        self.executed += other.executed;
        self.succeeded += other.succeeded;
        for (&level, (right, all)) in &other.levels {
            let counts = self.levels.entry(level).or_default();
            counts.0 += right;
            counts.1 += all;
        }
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
    evaluate_among(&Alone, model, game, config, rewards, seed, cache, progress)
}

/// Plays as [`evaluate`], each task on one of the ranks. All of them get the result.
#[expect(clippy::too_many_arguments, reason = "those of an evaluation, and the ranks")]
pub(crate) fn evaluate_among(
    ranks: &dyn Ranks,
    model: &Transformer,
    game: &Game<'_>,
    config: &EvalConfig,
    rewards: &RewardConfig,
    seed: u64,
    cache: CacheBudget,
    progress: &mut (dyn FnMut(usize, usize) + Send),
) -> Result<Evaluation, TrainError> {
    let sampling = Sampling { temperature: config.temperature, ..Sampling::default() };
    let mut policy =
        || -> Box<dyn Policy> { Box::new(ModelPolicy::on_all_cores(model, sampling, seed).within(cache)) };
    evaluate_policy(ranks, &mut policy, game, config, rewards, progress)
}

/// Evaluates on servers that hold the weights of a model, as [`evaluate`] does with the model itself.
/// `updates`: the number of optimizer updates before the weights.
pub fn evaluate_on(
    servers: &RunServers,
    (model, updates): (&Transformer, u64),
    game: &Game<'_>,
    config: &EvalConfig,
    rewards: &RewardConfig,
    seed: u64,
    progress: &mut (dyn FnMut(usize, usize) + Send),
) -> Result<Evaluation, TrainError> {
    servers.hold(model, updates)?;
    let (rule, stream) = (Rule::of(config.temperature), Stream { seed, step: EVALUATION });
    let mut policy =
        || -> Box<dyn Policy + '_> { Box::new(TokenPolicy::new(servers.fleet(), rule, stream, updates)) };
    evaluate_policy(servers.ranks(), &mut policy, game, config, rewards, progress)
}

fn evaluate_policy<'p>(
    ranks: &dyn Ranks,
    policy: &mut dyn FnMut() -> Box<dyn Policy + 'p>,
    game: &Game<'_>,
    config: &EvalConfig,
    rewards: &RewardConfig,
    progress: &mut (dyn FnMut(usize, usize) + Send),
) -> Result<Evaluation, TrainError> {
    let numbers: Vec<usize> = (0..game.env.count(TaskSplit::HeldOut).min(config.tasks)).collect();
    let held_out = read_tasks(game.env, TaskSplit::HeldOut, &numbers).map_err(TrainError::from);
    let held_out = agree(ranks, held_out)?;
    let tasks: Vec<&Task> = held_out.iter().collect();
    let trial = Trial { game, tasks: &tasks, samples: config.samples, rewards };
    trial.run_among(ranks, policy, progress, &mut |_, _, _, _| {})
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
    pub fn run<'p>(
        &self,
        policy: &mut dyn FnMut() -> Box<dyn Policy + 'p>,
        progress: &mut (dyn FnMut(usize, usize) + Send),
        keep: &mut Keep<'_>,
    ) -> Result<Evaluation, TrainError> {
        self.run_among(&Alone, policy, progress, keep)
    }

    /// Plays as [`Trial::run`], each task on one of the ranks. `keep` gets the trajectories of this rank.
    pub(crate) fn run_among<'p>(
        &self,
        ranks: &dyn Ranks,
        policy: &mut dyn FnMut() -> Box<dyn Policy + 'p>,
        progress: &mut (dyn FnMut(usize, usize) + Send),
        keep: &mut Keep<'_>,
    ) -> Result<Evaluation, TrainError> {
        let mut all = Outcomes::default();
        for part in gather(ranks, self.part(ranks, policy, progress, keep))? {
            all.merge(part);
        }
        let Outcomes { judged, mut lost, env_faults } = all;
        // Trajectories arrive in any order.
        lost.sort_by_key(|(order, _)| *order);
        let lost: Vec<Lost> = lost.into_iter().map(|(_, lost)| lost).collect();
        let evaluation = evaluation(&judged, &lost, self.tasks, self.samples, self.rewards)?;
        Ok(Evaluation { env_faults, ..evaluation })
    }

    /// Plays and judges this rank's tasks.
    fn part<'p>(
        &self,
        ranks: &dyn Ranks,
        policy: &mut dyn FnMut() -> Box<dyn Policy + 'p>,
        progress: &mut (dyn FnMut(usize, usize) + Send),
        keep: &mut Keep<'_>,
    ) -> Result<Outcomes, TrainError> {
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
                    let owners = deal(now.iter().map(|task| &*task.id), ranks.size());
                    let mine = (0..now.len()).filter(|&at| owners[at] == ranks.rank());
                    let mine: Vec<usize> = mine.collect();
                    let dealt: Vec<&Task> = mine.iter().map(|&at| now[at]).collect();
                    let mut progress = |done: usize, _: usize| progress(first * samples + done, total);
                    let mut ended = |task: usize, trajectory: &Trajectory| {
                        // Sending fails only if the judge has panicked.
                        let _ = tell.send((first + mine[task], trajectory.clone()));
                    };
                    let mut policy = policy();
                    let n = samples as u32;
                    let played = play_telling(game, &dealt, n, &mut *policy, &mut progress, &mut ended)?;
                    // Why nothing can be played says more than what was lost by it.
                    game.env.check()?;
                    env_faults += played.env_faults;
                    let places = places(now.iter().map(|task| &*task.id));
                    lost.extend(played.lost.into_iter().map(|lost| {
                        let place = places.get(&*lost.task).map_or(first, |at| first + at) * samples;
                        ((false, place), lost)
                    }));
                    // Several ranks know only together how many were lost.
                    if ranks.size() == 1 {
                        let lost: Vec<Lost> = lost.iter().map(|(_, lost)| lost.clone()).collect();
                        refuse_many(&lost, (first + now.len()) * samples)?;
                    }
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
        Ok(Outcomes { judged, lost, env_faults })
    }

    /// Judges trajectories in the order of arrival, which doesn't change the result.
    fn judge(&self, ended: &Receiver<(usize, Trajectory)>, keep: &mut Keep<'_>) -> (Judgements, Vec<Placed>) {
        let Self { game, tasks, samples, rewards } = *self;
        let (mut by_place, mut lost) = (Judgements::new(), Vec::new());
        for (at, trajectory) in ended {
            let (task, place) = (tasks[at], at * samples + trajectory.sample as usize);
            let scored = match judge(game.env, task, &trajectory, rewards) {
                Ok(scored) => scored,
                Err(unjudged) => {
                    lost.push(((true, place), unjudged));
                    continue;
                }
            };
            keep(place, task, &trajectory, &scored);
            by_place.insert(place, Judged::of(game.env, task, &trajectory, &scored));
        }
        (by_place, lost)
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

/// Judged trajectories by their place.
pub(crate) type Judgements = BTreeMap<usize, Judged>;

/// A lost trajectory behind whether it was played and not judged, and its place.
type Placed = ((bool, usize), Lost);

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

/// Holds the results of one rank.
#[derive(Default, Serialize, Deserialize)]
struct Outcomes {
    judged: Judgements,
    lost: Vec<Placed>,
    env_faults: u64,
}

impl Outcomes {
    fn merge(&mut self, other: Self) {
        self.judged.extend(other.judged);
        self.lost.extend(other.lost);
        self.env_faults += other.env_faults;
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
