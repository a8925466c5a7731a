//! Evaluates a policy on held-out tasks: accuracy, format and tool use.

mod outcome;
mod tally;
mod trial;

use turnwise_envs::{RewardConfig, Task, TaskSplit, read_tasks};
use turnwise_model::Transformer;
use turnwise_ranks::{Alone, Ranks};
use turnwise_rollout::remote::tokens::{Rule, Stream, TokenPolicy};
use turnwise_rollout::{Game, Policy};
use turnwise_run::Evaluation;
use turnwise_sampler::Sampling;

use crate::config::EvalConfig;
use crate::error::TrainError;
use crate::play::cache_budget::CacheBudget;
use crate::play::policy::{EVALUATION, ModelPolicy};
use crate::play::servers::RunServers;
use crate::ranks::agree::agree;

pub(crate) use outcome::{Judged, Judgements, evaluation};
pub(crate) use tally::Tally;
pub use trial::{Keep, Trial};

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
