//! The local model as an engine of `turnwise serve`: continuous batching over all that clients ask for.
//!
//! A worker is a thread with a generator. Sequences of a session go to the same worker, which keeps the
//! caches of those that ended as long as there is room. The next call of a session continues one of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;

use burn::tensor::DType;
use turnwise_model::{HostPrecision, Transformer};
use turnwise_sampler::{
    Generation, GenerationRequest, Generator, Likely, LogitsError, SampledSoFar, Sampling, SequenceId,
    SequenceRng, StopRule,
};
use turnwise_serve::{Draw, Engine, Event, Job};
use turnwise_trajectory::{Finish, TokenId};

use crate::device::kind::on_host;
use crate::device::workers;
use crate::play::cache_budget::CacheBudget;
use crate::play::policy::generators;

/// Keeps the random streams of sessions apart from those of training steps and evaluations.
const SERVED: u64 = u64::MAX - 1;

/// Most sequences that a worker samples together.
const TOGETHER: usize = 64;

/// Samples what clients ask for, in threads that end with it.
pub struct ServedModel {
    workers: Vec<Sender<Job>>,
    context: usize,
    vocabulary: usize,
}

impl ServedModel {
    /// Starts the workers of a model, which must not track gradients.
    ///
    /// - `context`: the most tokens of a sequence, if they are fewer than the model's
    ///
    /// # Errors
    /// If the memory for keys and values doesn't hold one sequence, or a thread can't be started.
    pub fn start(model: &Transformer, context: Option<usize>) -> Result<Self, String> {
        let cache = CacheBudget::new(None, &model.device());
        Self::of_run(model, HostPrecision::F32, context.unwrap_or(usize::MAX), cache, &Arc::default())
    }

    /// Starts the workers of a model that answers for the trajectories of a run.
    ///
    /// - `ids`: the random streams of the trajectories, by the place with which their sessions are opened
    pub(crate) fn of_run(
        model: &Transformer,
        precision: HostPrecision,
        context: usize,
        cache: CacheBudget,
        ids: &Arc<[SequenceId]>,
    ) -> Result<Self, String> {
        let (config, device) = (model.config(), model.device());
        let context = context.min(config.context());
        let element = model.dtype().size().min(precision.cache_bytes()) as u64;
        let fit = cache.sequences(config, element, context)?;
        let workers = workers::count(&device).min(fit).max(1);
        let generators = generators(model, precision, Sampling::default(), workers);
        let most = (fit / generators.len()).clamp(1, TOGETHER);
        // A tensor backend computes the rows of caches that wait.
        let kept = if on_host(&device) && model.dtype() == DType::F32 { most } else { 0 };
        let alone = generators.len() == 1;
        let mut started = Vec::new();
        for mut generator in generators {
            generator.bound(most);
            let (sender, jobs) = channel();
            let (active, idle, ids) = (BTreeMap::new(), Vec::new(), Arc::clone(ids));
            let worker = Worker { generator, jobs, most, kept, active, idle, next: 0, ids };
            let work = move || if alone { worker.run() } else { workers::on_one_thread(|| worker.run()) };
            let thread = thread::Builder::new().name("sampler".into()).spawn(work);
            thread.map_err(|error| format!("a thread can't be started: {error}"))?;
            started.push(sender);
        }
        Ok(Self { workers: started, context, vocabulary: config.vocab_size })
    }
}

impl Engine for ServedModel {
    fn context(&self) -> usize {
        self.context
    }

    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn submit(&self, job: Job) {
        let worker = (job.affinity % self.workers.len() as u64) as usize;
        if let Err(refused) = self.workers[worker].send(job) {
            refused.0.events.tell(Event::Failed("the sampler has ended".into()));
        }
    }
}

/// Samples sequences in one thread.
struct Worker {
    generator: Generator,
    jobs: Receiver<Job>,
    /// Most sequences with a cache.
    most: usize,
    /// Most sequences that have ended and keep their caches.
    kept: usize,
    active: BTreeMap<u64, Active>,
    /// Sequences that have ended and keep their caches, oldest first, with their tokens.
    idle: Vec<(u64, Vec<TokenId>)>,
    /// The next key.
    next: u64,
    /// The random streams of a run's trajectories.
    ids: Arc<[SequenceId]>,
}

/// Holds a sequence that is being sampled, or waits.
struct Active {
    job: Job,
    /// Tokens that were told.
    told: usize,
}

impl Worker {
    /// Works until nobody can submit any more.
    fn run(mut self) {
        loop {
            if self.active.is_empty() {
                match self.jobs.recv() {
                    Ok(job) => self.begin(job),
                    Err(_) => return,
                }
            }
            loop {
                match self.jobs.try_recv() {
                    Ok(job) => self.begin(job),
                    Err(TryRecvError::Empty) => break,
                    // Clients are gone with the server.
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.drop_unwanted();
            self.make_room();
            if !self.active.is_empty()
                && let Err(error) = self.step()
            {
                self.fail(&error);
            }
        }
    }

    /// Queues a sequence. One that continues an ended sequence takes over its cache.
    fn begin(&mut self, mut job: Job) {
        let longest = |(_, (_, tokens)): &(usize, &(u64, Vec<TokenId>))| tokens.len();
        let continued =
            self.idle.iter().enumerate().filter(|(_, (_, tokens))| job.prompt.starts_with(tokens));
        let key = if let Some((at, _)) = continued.max_by_key(longest) {
            self.idle.remove(at).0
        } else {
            self.next += 1;
            self.next
        };
        let Job { ref prompt, max_new, sampling, likeliest, draw, .. } = job;
        let sampling = Sampling {
            temperature: sampling.temperature,
            top_k: sampling.top_k,
            top_p: sampling.top_p,
            min_p: sampling.min_p,
        };
        let request = GenerationRequest { key, tokens: prompt, max_new, rng: stream(draw, &self.ids) };
        self.generator.submit_sampled(request, sampling, likeliest);
        if self.kept == 0 {
            job.prompt = Vec::new();
        }
        self.active.insert(key, Active { job, told: 0 });
    }

    /// Drops sequences whose clients have gone away.
    fn drop_unwanted(&mut self) {
        let gone = self.active.extract_if(.., |_, active| !active.job.events.is_wanted());
        for (key, _) in gone {
            self.generator.release(key);
        }
    }

    /// Drops the oldest caches of ended sequences that stand in the way.
    fn make_room(&mut self) {
        let keep = self.kept.min(self.most.saturating_sub(self.active.len()));
        for (key, _) in self.idle.drain(..self.idle.len().saturating_sub(keep)) {
            self.generator.release(key);
        }
    }

    /// Samples a token for each sequence, and tells it.
    fn step(&mut self) -> Result<(), LogitsError> {
        let rule = StopRule { tokens: &[], strings: &[], decode: None };
        let active = &mut self.active;
        let mut ends = |key: u64, token: TokenId| {
            let job = &mut active.get_mut(&key).expect("only active sequences are sampled").job;
            job.stop.contains(&token) || (job.watch)(token)
        };
        let finished = self.generator.step(&rule, &mut ends)?;
        for (key, active) in &mut self.active {
            if let Some(SampledSoFar { tokens, logprobs, likeliest }) = self.generator.sampled(*key) {
                active.tell(tokens, logprobs, likeliest);
            }
        }
        for (key, completion) in finished {
            let mut active = self.active.remove(&key).expect("it was active");
            active.end(&completion);
            if self.kept > 0 {
                let mut tokens = active.job.prompt;
                tokens.extend_from_slice(&completion.tokens);
                self.idle.push((key, tokens));
            } else {
                self.generator.release(key);
            }
        }
        Ok(())
    }

    /// Gives up all sequences, because the model's scores are broken.
    fn fail(&mut self, error: &LogitsError) {
        for (key, active) in std::mem::take(&mut self.active) {
            self.generator.release(key);
            active.job.events.tell(Event::Failed(error.to_string()));
        }
        for (key, _) in self.idle.drain(..) {
            self.generator.release(key);
        }
    }
}

impl Active {
    /// Tells the tokens that are new.
    fn tell(&mut self, tokens: &[TokenId], logprobs: &[f32], likeliest: &[Vec<Likely>]) {
        for (at, (token, logprob)) in tokens.iter().zip(logprobs).enumerate().skip(self.told) {
            let likeliest = likeliest.get(at).cloned().unwrap_or_default();
            self.job.events.tell(Event::Token { token: *token, logprob: *logprob, likeliest });
        }
        self.told = tokens.len();
    }

    /// Tells the rest, and the end.
    fn end(&mut self, completion: &Generation) {
        self.tell(&completion.tokens, &completion.logprobs, &completion.likeliest);
        let ended = completion.tokens.last().is_some_and(|last| self.job.stop.contains(last));
        self.job.events.tell(Event::End(if ended { Finish::EndOfTurn } else { completion.finish }));
    }
}

/// Returns the random numbers of a sequence. Those of a seed are those of `turnwise generate`, and those of a
/// trajectory's turns those of [`ModelPolicy`](crate::ModelPolicy).
fn stream(draw: Draw, ids: &[SequenceId]) -> SequenceRng {
    match draw {
        Draw::Seed { seed, choice } => {
            SequenceId { seed, step: 0, task: 0, occurrence: 0, sample: choice, turn: 0 }
        }
        Draw::Call { seed, session, call } => {
            SequenceId { seed, step: SERVED, task: session, occurrence: 0, sample: 0, turn: call }
        }
        Draw::Run { place, depth, salt } => {
            let id = ids[place as usize];
            SequenceId { task: id.task ^ salt, turn: depth, ..id }
        }
    }
    .rng()
}
