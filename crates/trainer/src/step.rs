//! Runs one training step. This file is the only orchestration; everything it calls does one thing.

mod refill;

use std::cell::LazyCell;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use turnwise_credit::{Group, Sample, ScoredGroup, Scorer};
use turnwise_curriculum::{DrawState, TaskDraw};
use turnwise_envs::{EnvConfig, TaskSplit};
use turnwise_model::Transformer;
use turnwise_ranks::{Alone, Ranks};
use turnwise_rollout::Played;
use turnwise_trajectory::{Sequence, Trajectory, Turn};

use crate::config::{RunConfig, ScoreConfig};
use crate::device::workers;
use crate::error::TrainError;
use crate::learn::learner::{PolicyStats, Split, policy_gradient};
use crate::learn::optimizer::{Optimizer, Update};
use crate::learn::sampled_logprobs::sampled_logprobs;
use crate::play::cache_budget::CacheBudget;
use crate::play::servers::RunServers;
use crate::play::setup::Setup;
use crate::player::Player;
use crate::ranks::agree::{gather, said};
use crate::record::{StepRecord, Times};
use crate::step_rollouts::StepRollouts;
use crate::watch::phase::{Phase, Spent};

/// Holds a run in memory: the policy, its optimizer, and its setup.
pub struct Trainer {
    config: Arc<RunConfig>,
    setup: Arc<Setup>,
    scorer: Arc<Scorer>,
    servers: Option<Arc<RunServers>>,
    model: Option<Transformer>,
    /// The policy before the first step, if the loss or the reward needs it.
    reference: Option<Transformer>,
    optimizer: Optimizer,
    draw: TaskDraw,
    workers: usize,
    ranks: Arc<dyn Ranks>,
}

impl Trainer {
    /// Returns a trainer before its first step. The model must be on an autodiff device.
    pub fn new(config: RunConfig, setup: Setup, model: Transformer) -> Self {
        let needs_reference = config.needs_reference();
        let tasks = setup.env.count(TaskSplit::Train);
        Self {
            draw: TaskDraw::new(config.rollout.curriculum.clone(), config.train.seed, tasks),
            scorer: Arc::new(ScoreConfig::from(&config).scorer()),
            servers: None,
            reference: needs_reference.then(|| model.clone().without_adapter().valid()),
            optimizer: Optimizer::new(&config.optimizer),
            workers: workers::count(&model.device()),
            model: Some(model),
            ranks: Arc::new(Alone),
            config: Arc::new(config),
            setup: Arc::new(setup),
        }
    }

    /// Samples turns from servers, if there are any, and not from the model in this process.
    #[must_use]
    pub fn on_servers(self, servers: Option<RunServers>) -> Self {
        let ranks = || self.ranks.clone();
        Self { servers: servers.map(|servers| Arc::new(servers.among(ranks()))), ..self }
    }

    /// Returns the servers that sample its turns.
    pub(crate) fn servers(&self) -> Option<&RunServers> {
        self.servers.as_deref()
    }

    /// Plays the tasks of a step and judges their trajectories.
    ///
    /// `progress` gets the number of ended trajectories and the total.
    ///
    /// # Errors
    /// If the policy can't sample, or more than half of the trajectories are lost.
    pub fn play(
        &self,
        step: usize,
        progress: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<StepRollouts, TrainError> {
        self.player().play(step, progress)
    }

    /// Returns what plays the next step with the policy of this moment, after the outcomes of a step's
    /// rollouts.
    pub(crate) fn player_after(&self, rollouts: &StepRollouts) -> Player {
        let mut player = self.player();
        player.draw.learn(rollouts.outcomes(), rollouts.replaced.len());
        player
    }

    /// Returns what plays with the policy of this moment.
    pub(crate) fn player(&self) -> Player {
        Player {
            config: self.config.clone(),
            setup: self.setup.clone(),
            scorer: self.scorer.clone(),
            servers: self.servers.clone(),
            ranks: self.ranks.clone(),
            workers: self.workers,
            model: self.model().clone(),
            updates: self.optimizer.updates() as u64,
            draw: self.draw.clone(),
        }
    }

    /// Shares its work with other ranks: each plays some groups and computes some micro-batches.
    #[must_use]
    pub fn among(self, ranks: Arc<dyn Ranks>) -> Self {
        Self { optimizer: self.optimizer.among(ranks.clone()), ranks, ..self }
    }

    /// Restores policy and optimizer state from the folder of a checkpoint; the reference stays that of
    /// [`Self::new`].
    pub fn resume(&mut self, model: Transformer, folder: &Path, updates: usize) -> Result<(), TrainError> {
        let optimizer = Optimizer::new(&self.config.optimizer).among(self.ranks.clone());
        self.optimizer = optimizer.resume(folder, &model, updates).map_err(TrainError::Input)?;
        self.model = Some(model);
        Ok(())
    }

    /// Resumes the draw of tasks from the state of a checkpoint.
    pub fn resume_draw(&mut self, state: DrawState) {
        self.draw.resume(state);
    }

    /// Returns the draw of tasks.
    pub fn draw(&self) -> &TaskDraw {
        &self.draw
    }

    /// Returns the policy.
    pub fn model(&self) -> &Transformer {
        self.model.as_ref().expect("the policy is only away during an update")
    }

    /// Returns the memory limit for keys and values of its rollouts.
    pub(crate) fn cache_budget(&self) -> CacheBudget {
        CacheBudget::new(self.config.rollout.cache_mib, &self.model().device())
    }

    /// Returns the setup of its rollouts.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Writes the optimizer's moments into the folder of a checkpoint, together with all ranks. Only rank 0
    /// writes: the others have no folder.
    pub(crate) fn save_moments(&self, folder: Option<&Path>) -> Result<(), TrainError> {
        self.optimizer.save(self.model(), folder).map_err(TrainError::Input)
    }

    /// Returns the optimizer.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// Scores the rollouts of a step and learns from them. `rollout` is the time and memory that they took.
    pub fn learn_from(
        &mut self,
        step: usize,
        rollouts: StepRollouts,
        rollout: Spent,
    ) -> Result<StepRecord, TrainError> {
        let phase = Phase::begin();
        let mut clock = Instant::now();
        let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed();
        self.draw.learn(rollouts.outcomes(), rollouts.replaced.len());
        let StepRollouts { levels, answers, indices, played, mut groups, replaced } = rollouts;
        let all = played.groups.iter().flatten();
        let sequences = LazyCell::new(|| all.map(Trajectory::sequences).collect::<Vec<_>>());
        if self.config.shaping.kl_beta > 0.0 {
            self.charge_kl(&played, &sequences, &mut groups);
        }
        let forward = lap();
        // An embedding endpoint may answer each rank otherwise, and all ranks make one plan.
        let scored = said(&*self.ranks, || Ok(self.scorer.score(&groups, step)?))?;
        let score = lap();
        let mut samples = self.samples(&played, || &**sequences, &scored);
        drop(sequences);
        let learned = self.learn(&mut samples)?;
        let train = Spent { wall: forward + lap(), ..phase.spent() };
        let exchange = self.optimizer.take_exchange();
        let times = Times { rollout, score, train, exchange };
        let log_ratios = log_ratios(&samples, &learned);
        let reward_weights = self.config.reward.weights.clone();
        Ok(StepRecord {
            step,
            levels,
            answers,
            indices,
            played,
            groups,
            replaced,
            refills: self.config.rollout.refill > 0,
            shares: self.draw.shares(),
            reward_weights,
            filter: matches!(self.config.env, EnvConfig::Agent(_)).then_some(self.config.filter),
            scored,
            learned,
            log_ratios,
            times,
        })
    }

    /// Sets each turn's KL divergence to the reference, summed over its sampled tokens.
    fn charge_kl(&self, played: &Played, sequences: &[Vec<Sequence>], groups: &mut [Group]) {
        let reference = self.reference.as_ref().expect("a run with KL in the reward keeps its reference");
        let temperature = self.config.rollout.sampling.temperature;
        let by_reference = sampled_logprobs(reference, sequences, temperature, self.split(), &*self.ranks);
        let scored = groups.iter_mut().flat_map(|group| &mut group.trajectories);
        let estimator = self.config.shaping.kl;
        let trajectories = played.groups.iter().flatten();
        for ((scored, trajectory), by_reference) in scored.zip(trajectories).zip(by_reference) {
            let of_turn = |(turn, reference): (&Turn, Vec<f32>)| {
                let pairs = turn.logprobs.iter().zip(reference);
                pairs.map(|(&logprob, reference)| estimator.of(logprob.into(), reference.into())).sum()
            };
            scored.kl = trajectory.turns.iter().zip(by_reference).map(of_turn).collect();
        }
    }

    /// Returns the training columns of all trajectories, group by group. With importance weights,
    /// and with a sampler that rounds, the ratio is to the policy as the trainer computes it. The sampler's
    /// log-probabilities then only weigh the tokens.
    fn samples<'s>(
        &self,
        played: &Played,
        sequences: impl FnOnce() -> &'s [Vec<Sequence>],
        scored: &[ScoredGroup],
    ) -> Vec<Sample> {
        let groups = played.groups.iter().zip(scored);
        let columns = groups.flat_map(|(trajectories, group)| {
            trajectories
                .iter()
                .enumerate()
                .map(move |(i, trajectory)| (trajectory, &group.advantages[i], group.dropped[i].is_none()))
        });
        let filter = self.config.filter;
        let columns = columns.enumerate().map(|(number, (trajectory, advantages, kept))| {
            let in_loss = |sequence: &Sequence| kept && filter.masks(trajectory, sequence).is_none();
            Sample::of(trajectory, number, advantages, in_loss)
        });
        let mut samples: Vec<Vec<Sample>> = columns.collect();
        if self.config.loss.loss().terms().correction.is_on() || self.config.rollout.rounds() {
            let sequences = sequences();
            let temperature = self.config.rollout.sampling.temperature;
            let model = self.model().valid();
            let now = sampled_logprobs(&model, sequences, temperature, self.split(), &*self.ranks);
            for ((samples, sequences), now) in samples.iter_mut().zip(sequences).zip(now) {
                for (sample, sequence) in samples.iter_mut().zip(sequences) {
                    for (turn, span) in &sequence.turns {
                        sample.old_logprobs[span.clone()].copy_from_slice(&now[*turn]);
                    }
                }
            }
        }
        samples.into_iter().flatten().collect()
    }

    fn split(&self) -> Split {
        let optimizer = &self.config.optimizer;
        Split {
            tokens: optimizer.micro_batch_tokens,
            workers: self.workers,
            shards: optimizer.shards,
            recompute: optimizer.recompute,
            balance: optimizer.router_aux_loss_coef,
            rank: (self.ranks.rank(), self.ranks.size()),
        }
    }

    /// Weighs the samples and updates the policy, once per minibatch.
    fn learn(&mut self, samples: &mut [Sample]) -> Result<Vec<(PolicyStats, Update)>, TrainError> {
        let c = &self.config;
        let mut trained: Vec<&mut Sample> = samples.iter_mut().filter(|sample| in_loss(sample)).collect();
        if trained.is_empty() {
            return Ok(Vec::new());
        }
        let split = self.split();
        let token_limit = c.rollout.max_turns.saturating_mul(c.rollout.max_turn_tokens);
        // Sequences of a trajectory stay together.
        let mut ends: Vec<usize> = vec![0];
        ends.extend(trained.chunk_by(|a, b| a.trajectory == b.trajectory).scan(0, |end, sequences| {
            *end += sequences.len();
            Some(*end)
        }));
        let minibatches = parts(ends.len() - 1, c.optimizer.minibatches);
        let minibatches = minibatches.map(|part| ends[part.start]..ends[part.end]);
        // Weights come before any split, because their normalisers are those of a whole minibatch.
        for part in minibatches.clone() {
            c.weights.weigh(&mut trained[part], token_limit);
        }
        let trained: Vec<&Sample> = trained.into_iter().map(|sample| &*sample).collect();
        let mut updates = Vec::new();
        for part in minibatches {
            let model = self.model.take().expect("the policy is only away during an update");
            let temperature = c.rollout.sampling.temperature;
            let reference = self.reference.as_ref();
            let (gradients, parts) =
                policy_gradient(&model, reference, &trained[part], &c.loss, temperature, split);
            let (model, update) = self.optimizer.step(model, gradients);
            self.model = Some(model);
            let parts = gather(&*self.ranks, Ok(parts))?;
            updates.push((PolicyStats::of_parts(&parts.concat()), update));
        }
        Ok(updates)
    }
}

/// Splits `length` items into `count` parts whose lengths differ by at most one. No part is empty.
fn parts(length: usize, count: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    let count = count.clamp(1, length.max(1));
    (0..count).map(move |part| part * length / count..(part + 1) * length / count)
}

/// Whether any token of a sample is trained on.
fn in_loss(sample: &Sample) -> bool {
    sample.mask.contains(&true)
}

/// Returns each trajectory's `logp - rollout_logp` of trained tokens as its update saw them, turn by turn;
/// empty for turns that weren't in the loss. Minibatches follow each other in the order of the samples.
fn log_ratios(samples: &[Sample], learned: &[(PolicyStats, Update)]) -> Vec<Vec<Vec<f32>>> {
    let mut of_trained = learned.iter().flat_map(|(stats, _)| {
        let mut rows: Vec<_> = stats.log_ratios.iter().collect();
        rows.sort_by_key(|(row, _)| *row);
        rows.into_iter().map(|(_, values)| values.clone())
    });
    let of = |sequences: &[Sample]| {
        let mut turns: Vec<Vec<f32>> = Vec::new();
        for sample in sequences.iter().filter(|sample| in_loss(sample)) {
            let values = of_trained.next().unwrap_or_default();
            let trained = sample.turns.iter().zip(&sample.mask).filter(|(_, trained)| **trained);
            for ((&turn, _), value) in trained.zip(values) {
                turns.resize(turns.len().max(turn as usize + 1), Vec::new());
                turns[turn as usize].push(value);
            }
        }
        turns
    };
    samples.chunk_by(|a, b| a.trajectory == b.trajectory).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_even_and_as_many_as_asked_for() {
        for (length, count) in [(128, 4), (5, 4), (7, 3), (3, 8), (1, 1), (10, 1), (6, 0), (113, 16)] {
            let cut: Vec<Range<usize>> = parts(length, count).collect();
            assert!(cut.iter().cloned().flatten().eq(0..length), "in order, none twice");
            assert_eq!(cut.len(), count.clamp(1, length), "{length} in {count}");
            let lengths = || cut.iter().map(Range::len);
            assert!(lengths().max().unwrap() - lengths().min().unwrap() <= 1, "{length} in {count}");
        }
    }
}
