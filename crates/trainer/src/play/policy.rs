//! The local model as a policy: one generator per worker, each with the caches of its sequences.

use std::collections::HashMap;
use std::hash::Hasher;
use std::sync::Arc;

use burn::tensor::{DType, Device};
use fnv::FnvHasher;
use turnwise_model::{HostModel, HostPrecision, ModelConfig, Transformer};
use turnwise_rollout::{Completion, Context, Policy, PolicyError, TurnEnd, TurnWatch, Turns};
use turnwise_sampler::{Generation, GenerationRequest, Generator, Sampling, SequenceId, StopRule};
use turnwise_trajectory::TokenId;

use crate::device::kind::on_host;
use crate::device::workers;
use crate::play::cache_budget::CacheBudget;

/// Keeps the random streams of evaluations apart from those of training steps.
pub(crate) const EVALUATION: u64 = u64::MAX;

/// Samples turns from a model. A trajectory goes to a worker by its index, so it stays with its cache.
pub struct ModelPolicy {
    generators: Vec<Generator>,
    config: ModelConfig,
    /// Bytes of a number in the caches.
    element: u64,
    cache: CacheBudget,
    seed: u64,
    step: u64,
    version: u64,
    /// Groups that earlier plays of the step had, by the hash of their task.
    earlier: HashMap<u64, u32>,
}

impl ModelPolicy {
    /// Returns a policy for one play. `seed` and `step` name its random streams; the model must not track
    /// gradients.
    pub fn new(model: &Transformer, sampling: Sampling, workers: usize, seed: u64, step: u64) -> Self {
        Self::rounded(model, HostPrecision::F32, sampling, workers, seed, step)
    }

    /// Returns a policy for one play that rounds an f32 model on the CPU to a precision.
    ///
    /// # Panics
    /// As [`generator_in`].
    pub fn rounded(
        model: &Transformer,
        precision: HostPrecision,
        sampling: Sampling,
        workers: usize,
        seed: u64,
        step: u64,
    ) -> Self {
        let (config, device) = (model.config().clone(), model.device());
        let generators = generators(model, precision, sampling, workers.max(1));
        let cache = CacheBudget::new(None, &device);
        let element = model.dtype().size().min(precision.cache_bytes()) as u64;
        Self { generators, config, element, cache, seed, step, version: 0, earlier: HashMap::new() }
    }

    /// Replaces the limit on its caches, which is the machine's memory by default.
    #[must_use]
    pub fn within(self, cache: CacheBudget) -> Self {
        Self { cache, ..self }
    }

    /// Marks sampled turns with a version of the weights: the number of optimizer updates before it.
    #[must_use]
    pub fn at_version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    /// Counts the groups of earlier plays of the same step. `tasks`: their ids.
    ///
    /// A task that is played again has other random streams.
    #[must_use]
    pub fn after<'t>(mut self, tasks: impl IntoIterator<Item = &'t str>) -> Self {
        for task in tasks {
            *self.earlier.entry(task_hash(task)).or_default() += 1;
        }
        self
    }

    /// Returns the forward passes of all workers so far.
    pub fn steps(&self) -> usize {
        self.generators.iter().map(Generator::steps).sum()
    }

    /// Returns a policy for evaluations, with the random streams of [`crate::evaluate()`] and all workers of
    /// the device.
    pub fn on_all_cores(model: &Transformer, sampling: Sampling, seed: u64) -> Self {
        Self::rounded_on_all_cores(model, HostPrecision::F32, sampling, seed)
    }

    /// Returns a policy as [`Self::on_all_cores`], with the weights as in [`Self::rounded`].
    ///
    /// # Panics
    /// As [`generator_in`].
    pub fn rounded_on_all_cores(
        model: &Transformer,
        precision: HostPrecision,
        sampling: Sampling,
        seed: u64,
    ) -> Self {
        Self::rounded(model, precision, sampling, workers::count(&model.device()), seed, EVALUATION)
    }
}

/// Weights above this size don't fit into a core's cache. Every worker would read them from memory at each
/// step, so one generator reads them with all cores instead.
const SHARED: usize = 32 << 20;

/// Returns one generator per worker: on the host if the model is an f32 model on the CPU, else on its
/// backend.
pub(crate) fn generators(
    model: &Transformer,
    precision: HostPrecision,
    sampling: Sampling,
    workers: usize,
) -> Vec<Generator> {
    if !on_host(&model.device()) || model.dtype() != DType::F32 {
        assert!(precision == HostPrecision::F32, "`check_precision` comes before anything is rounded");
        return (0..workers).map(|_| Generator::new(model.clone(), sampling)).collect();
    }
    let model = Arc::new(HostModel::with_precision(model, precision));
    let workers = if model.bytes() > SHARED { 1 } else { workers };
    (0..workers).map(|_| Generator::on_host(model.clone(), sampling)).collect()
}

/// Returns a generator for one sequence at a time.
pub fn generator(model: &Transformer, sampling: Sampling) -> Generator {
    generator_in(model, HostPrecision::F32, sampling)
}

/// Returns a generator for one sequence at a time that rounds the weights to a precision.
///
/// # Panics
/// If the precision isn't f32 and [`check_precision`] refuses the model's device, or the model isn't f32.
pub fn generator_in(model: &Transformer, precision: HostPrecision, sampling: Sampling) -> Generator {
    generators(model, precision, sampling, 1).remove(0)
}

/// Refuses a device whose sampler doesn't round weights.
///
/// # Errors
/// If the precision isn't f32 and the device isn't the CPU backend.
pub fn check_precision(precision: HostPrecision, device: &Device) -> Result<(), String> {
    if precision == HostPrecision::F32 || on_host(device) {
        return Ok(());
    }
    Err(format!(
        "rollout.precision = \"{}\" is for the sampler of the CPU (flex), and the device is {device:?}\n  \
         hint: leave it out there, or take --device flex",
        precision.name()
    ))
}

/// Returns the part of a task in its random streams. FNV-1a gives the same hash in every build.
pub(crate) fn task_hash(text: &str) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(text.as_bytes());
    hasher.finish()
}

impl Policy for ModelPolicy {
    fn serve(&mut self, turns: &Turns<'_>, end: &TurnEnd<'_>) -> Result<(), PolicyError> {
        let fit = self.cache.sequences(&self.config, self.element, turns.longest()).map_err(PolicyError)?;
        let workers = self.generators.len().min(fit);
        let (seed, step, version, earlier) = (self.seed, self.step, self.version, &self.earlier);
        let generators: Vec<_> = self.generators.iter_mut().take(workers).enumerate().collect();
        let served: Vec<Result<(), PolicyError>> = workers::run(generators, |(at, generator)| {
            generator.bound(fit / workers + usize::from(at < fit % workers));
            let shard = turns.shard(at, workers);
            let rule = StopRule { tokens: end.tokens(), strings: &[], decode: None };
            let mut watches: HashMap<u64, TurnWatch<'_>> = HashMap::new();
            // The shard waits for tools only while the generator is idle.
            while let Some(batch) = shard.take(generator.is_idle()) {
                for index in batch.ended {
                    generator.release(index as u64);
                }
                for c in batch.turns {
                    let (task, turn) = (task_hash(c.task), c.turn as u32);
                    let Context { sample, .. } = c;
                    let occurrence = c.occurrence + earlier.get(&task).copied().unwrap_or_default();
                    let id = SequenceId { seed, step, task, occurrence, sample, turn };
                    let (key, rng) = (c.index as u64, id.rng());
                    generator.submit(GenerationRequest { key, tokens: &c.tokens, max_new: c.max_new, rng });
                    watches.insert(key, end.watch());
                }
                let mut ends = |key: u64, token: TokenId| {
                    watches.get_mut(&key).is_some_and(|watch| watch.sampled(token).is_some())
                };
                // Logits without a valid token end the play of all workers.
                let ended = generator.step(&rule, &mut ends).inspect_err(|_| turns.close());
                for (key, turn) in ended.map_err(|error| PolicyError(error.to_string()))? {
                    let Generation { tokens, logprobs, finish, .. } = turn;
                    turns.answer(key as usize, Completion { tokens, logprobs, finish, version, retries: 0 });
                }
            }
            Ok(())
        });
        served.into_iter().collect()
    }
}
