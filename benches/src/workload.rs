//! The works that are measured on every backend and beside every peer: reading prompts, decoding, the
//! log-probabilities of a batch, a training step, and a GTPO step from sampling to update.

use burn::tensor::{DType, Device};
use tokenizers::Tokenizer;
use turnwise_envs::{ArithmeticConfig, EnvConfig};
use turnwise_model::{HostPrecision, ModelConfig, TokenBatch, Transformer, token_logprobs};
use turnwise_rollout::Played;
use turnwise_rollout::chat::Moment;
use turnwise_sampler::{GenerationRequest, Generator, Sampling, SequenceId, StopRule};
use turnwise_trainer::config::{OptimizerConfig, Precision, RunConfig};
use turnwise_trainer::nll::{self, Example};
use turnwise_trainer::{Optimizer, Setup, StepRollouts, TrainError, Trainer, generator_in};
use turnwise_trajectory::{Finish, Stop, TokenId, Trajectory, Turn};

use crate::{Sequence, groups};

/// Tokens of a prompt, and sampled after it.
pub const PROMPT: usize = 64;
/// Tokens that decoding samples per sequence.
pub const NEW: usize = 128;
/// Sequences and tokens of a training batch.
pub const ROWS: usize = 8;
/// Tokens of each of them.
pub const COLUMNS: usize = 256;
/// Turns of a GTPO step's trajectories, and tokens of the observation between two of them.
const TURNS: usize = 4;
const OBSERVATION: usize = 16;
/// Tokens of a turn, and of the observation after it, where trajectories have many turns.
const SHORT: [usize; 2] = [16, 32];

const TOKENIZER: &[u8] = include_bytes!("../../models/tiny/tokenizer.json");

/// A piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Eight prompts of 256 tokens into the cache.
    Prefill,
    /// Decodes this number of sequences, 64 tokens in and 128 out.
    Decode(usize),
    /// Eight trajectories of this number of turns: 64 tokens of prompt, 16 sampled tokens a turn, 32 of
    /// observation between.
    Turns(usize),
    /// Log-probabilities of eight rows of 256 tokens.
    Loss,
    /// Their gradient, clipped, and an update.
    Train,
    /// Eight trajectories of four turns with observations between them, 128 sampled tokens each, and an
    /// update.
    Gtpo,
}

impl Work {
    /// By its name: `decode 8` and the like.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.split_once(' ') {
            None if name == "prefill" => Self::Prefill,
            None if name == "loss" => Self::Loss,
            None if name == "train" => Self::Train,
            None if name == "gtpo" => Self::Gtpo,
            Some(("decode", batch)) => Self::Decode(batch.parse().ok().filter(|batch| *batch > 0)?),
            Some(("turns", turns)) => Self::Turns(turns.parse().ok().filter(|turns| *turns > 0)?),
            _ => return None,
        })
    }

    /// Tokens that its speed is counted in: those read, sampled or trained on.
    pub fn tokens(self) -> usize {
        match self {
            Self::Prefill | Self::Loss | Self::Train => ROWS * COLUMNS,
            Self::Decode(batch) => batch * NEW,
            Self::Turns(turns) => ROWS * turns * SHORT[0],
            Self::Gtpo => ROWS * NEW,
        }
    }
}

/// A model with what it is measured by.
pub struct Workload {
    /// On a device with gradients; away while it is updated.
    model: Option<Transformer>,
    optimizer: Optimizer,
    config: OptimizerConfig,
    generator: Option<Generator>,
    /// The type of the weights that sample.
    weights: HostPrecision,
    trainer: Option<Trainer>,
    steps: usize,
}

impl Workload {
    /// A model with random weights on a device, which must not track gradients yet.
    pub fn random(config: &ModelConfig, precision: Precision, device: &Device) -> Self {
        Self::of(Transformer::random(config, 0, &device.clone().autodiff()), precision)
    }

    /// A model with gradients.
    pub fn of(model: Transformer, precision: Precision) -> Self {
        let config =
            OptimizerConfig { lr: 1e-5, micro_batch_tokens: 1024, precision, ..OptimizerConfig::default() };
        let model = match precision {
            Precision::F32 => model,
            Precision::Bf16 => model.computing_in(DType::BF16),
            Precision::F16 => model.computing_in(DType::F16),
        };
        let optimizer = Optimizer::new(&config);
        let (weights, generator, trainer) = (HostPrecision::F32, None, None);
        Self { model: Some(model), optimizer, config, generator, weights, trainer, steps: 0 }
    }

    /// The same with weights for sampling in another precision.
    #[must_use]
    pub fn sampling_from(self, weights: HostPrecision) -> Self {
        Self { weights, ..self }
    }

    fn new_generator(&self, model: &Transformer) -> Generator {
        generator_in(&model.for_sampling(), self.weights, Sampling::default())
    }

    fn model(&self) -> &Transformer {
        self.model.as_ref().expect("the model is only away during an update")
    }

    /// Rows of tokens that a vocabulary holds, others at each call.
    fn rows(&mut self, count: usize, length: usize) -> Vec<Vec<TokenId>> {
        self.steps += 1;
        let mut random = Sequence(self.steps as u64);
        let bound = self.model().config().vocab_size as u64;
        (0..count).map(|_| (0..length).map(|_| random.below(bound) as TokenId).collect()).collect()
    }

    /// Does it once. Results are on the host when it returns.
    pub fn run(&mut self, work: Work) -> Result<(), TrainError> {
        match work {
            Work::Prefill => self.sample(ROWS, COLUMNS, 0),
            Work::Decode(batch) => self.sample(batch, PROMPT, NEW),
            Work::Turns(turns) => self.turns(turns),
            Work::Loss => self.loss(),
            Work::Train => self.train(),
            Work::Gtpo => self.gtpo()?,
        }
        Ok(())
    }

    fn sample(&mut self, batch: usize, prompt: usize, new: usize) {
        let rows = self.rows(batch, prompt);
        let mut generator = self.generator.take().unwrap_or_else(|| self.new_generator(self.model()));
        continued(&mut generator, &rows, self.steps, 0, new);
        self.generator = Some(generator);
    }

    /// Returns the `new` likeliest tokens after a fixed prompt, whose token `i` is `100 + 37·i`, modulo the
    /// size of the vocabulary.
    pub fn greedy(&self, new: usize) -> Vec<TokenId> {
        let bound = self.model().config().vocab_size;
        let prompt: Vec<TokenId> = (0..PROMPT).map(|at| ((100 + 37 * at) % bound) as TokenId).collect();
        let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
        let mut generator = generator_in(&self.model().for_sampling(), self.weights, sampling);
        continued(&mut generator, &[prompt], 0, 0, new).remove(0).tokens
    }

    fn turns(&mut self, turns: usize) {
        let [new, observation] = SHORT;
        let (prompt, observations) = (self.rows(1, PROMPT).remove(0), self.rows(ROWS, observation));
        let mut generator = self.new_generator(self.model());
        let played = play(&mut generator, &prompt, &observations, self.steps, [turns, new]);
        let sampled =
            |trajectory: &Trajectory| trajectory.turns.iter().map(|turn| turn.tokens.len()).sum::<usize>();
        assert_eq!(played.groups[0].iter().map(sampled).sum::<usize>(), ROWS * turns * new);
    }

    fn loss(&mut self) {
        let batch = TokenBatch::new(&self.rows(ROWS, COLUMNS));
        let wanted = vec![true; ROWS * COLUMNS];
        let answer = token_logprobs(&self.model().for_sampling(), &batch, &wanted, 1.0, false);
        let read: Vec<f32> = answer.logprobs.into_data().try_into_vec().expect("log-probabilities are f32");
        assert!(read.iter().all(|logprob| logprob.is_finite()), "the model is broken");
    }

    fn train(&mut self) {
        let mask: Vec<bool> = (0..COLUMNS).map(|at| at > 0).collect();
        let examples: Vec<Example> = self
            .rows(ROWS, COLUMNS)
            .into_iter()
            .map(|tokens| Example { tokens, mask: mask.clone() })
            .collect();
        let model = self.model.take().expect("the model is there between two steps");
        let (model, loss) = nll::step(model, &mut self.optimizer, &examples, &self.config);
        assert!(loss.is_finite(), "the model is broken");
        self.model = Some(model);
        self.generator = None;
    }

    fn gtpo(&mut self) -> Result<(), TrainError> {
        if self.trainer.is_none() {
            self.trainer = Some(trainer(self.model().clone(), &self.config)?);
        }
        let prompt = self.rows(1, PROMPT).remove(0);
        let observations = self.rows(ROWS, OBSERVATION);
        let step = self.steps;
        let mut generator = self.new_generator(self.trainer.as_ref().expect("it was just made").model());
        let trainer = self.trainer.as_mut().expect("it was just made");
        let played = play(&mut generator, &prompt, &observations, step, [TURNS, NEW / TURNS]);
        let mut groups = groups(ROWS, TURNS);
        // All right or all wrong would leave nothing to learn.
        groups[0].trajectories.iter_mut().step_by(2).for_each(|t| t.turns[TURNS - 1].add("acc", 0.5));
        let (levels, answers) = (vec![0], vec![String::new()]);
        let rollouts = StepRollouts { levels, answers, played, groups, ..StepRollouts::default() };
        trainer.learn_from(step, rollouts, turnwise_trainer::Spent::default())?;
        Ok(())
    }
}

/// Continues every row by a turn of `new` tokens; rows of one `step` go on where its last turn ended.
fn continued(
    generator: &mut Generator,
    rows: &[Vec<TokenId>],
    step: usize,
    turn: usize,
    new: usize,
) -> Vec<turnwise_sampler::Generation> {
    let requests: Vec<GenerationRequest<'_>> = rows
        .iter()
        .enumerate()
        .map(|(row, tokens)| {
            let id = SequenceId {
                seed: 0,
                step: step as u64,
                task: 0,
                occurrence: 0,
                sample: row as u32,
                turn: turn as u32,
            };
            GenerationRequest { key: (step * 4096 + row) as u64, tokens, max_new: new, rng: id.rng() }
        })
        .collect();
    let stop = StopRule { tokens: &[], strings: &[], decode: None };
    generator.complete(&requests, &stop).expect("finite logits")
}

/// Plays a group of trajectories with the same prompt: `turns` turns of `tokens` tokens.
fn play(
    generator: &mut Generator,
    prompt: &[TokenId],
    observations: &[Vec<TokenId>],
    step: usize,
    [turns, new]: [usize; 2],
) -> Played {
    let mut rows = vec![prompt.to_vec(); observations.len()];
    let mut group: Vec<Trajectory> = (0..observations.len())
        .map(|sample| Trajectory {
            task: "g0".into(),
            sample: sample as u32,
            prompt: prompt.to_vec(),
            turns: Vec::new(),
            stop: Stop::Answer,
        })
        .collect();
    for turn in 0..turns {
        let completions = continued(generator, &rows, step, turn, new);
        for (row, said) in completions.into_iter().enumerate() {
            let observation = if turn + 1 < turns { observations[row].clone() } else { Vec::new() };
            rows[row].extend_from_slice(&said.tokens);
            rows[row].extend_from_slice(&observation);
            group[row].turns.push(Turn {
                tokens: said.tokens,
                logprobs: said.logprobs,
                text: String::new(),
                // The workload's own decision, so that no filter leaves the trajectory out.
                finish: Finish::EndOfTurn,
                calls: Vec::new(),
                observation,
                ..Turn::default()
            });
        }
    }
    Played { groups: vec![group], ..Played::default() }
}

fn trainer(model: Transformer, optimizer: &OptimizerConfig) -> Result<Trainer, TrainError> {
    let env = EnvConfig::Arithmetic(ArithmeticConfig::default());
    let least = serde_json::json!({ "model": "", "env": env });
    let mut config: RunConfig = serde_json::from_value(least).expect("the rest has defaults");
    config.optimizer = optimizer.clone();
    let tokenizer = Tokenizer::from_bytes(TOKENIZER).expect("models/tiny has a tokenizer");
    let context = model.config().context();
    let setup = Setup::open(&config.env, &config.rollout, None, tokenizer, context, Moment::now())?;
    Ok(Trainer::new(config, setup, model))
}
