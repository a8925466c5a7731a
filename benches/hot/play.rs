//! Multi-turn play without a model: parsing, checking, tool threads and tokens around a policy that replays
//! demonstrations. Once with answers from a table, which leaves the loop alone, and once with real Python.
//!
//! Then the same play with `models/tiny`, whose tools answer at once or after 50 ms, beside a policy that
//! plays in lockstep: no turn begins before every trajectory's last one has its observations. The table says
//! how many sequences a decoding step had on average, and what a play cost this process, the sandbox's own
//! time not counted.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokenizers::Tokenizer;
use turnwise_benches::cost::cost;
use turnwise_envs::{Demonstration, Env, EnvConfig, Start, Task};
use turnwise_model::load as load_model;
use turnwise_rollout::chat::{ChatFormat, ChatMl, Moment};
use turnwise_rollout::{Completion, Context, Game, Limits, Policy, PolicyError, TurnEnd, Turns, play};
use turnwise_sampler::{self as sampler, Generator, Sampling, SequenceId, StopRule};
use turnwise_tools::executor::{Echo, ExecutorConfig, PythonConfig, PythonExecutor, Scripted};
use turnwise_tools::{
    CallContext, CallFormat, CodeSession, Executor, ExecutorFault, ExecutorInfo, FormatName,
};
use turnwise_trainer::config::{RunConfig, load};
use turnwise_trainer::{ModelPolicy, Setup, backend, generator};
use turnwise_trajectory::{TokenId, ToolOutput};

const TASKS: u64 = 16;
const SAMPLES: u32 = 8;

/// Says what the demonstration of the task says in that turn.
struct Replay(HashMap<(String, usize), Vec<TokenId>>);

impl Replay {
    fn new(demonstrations: &[Demonstration], chat: &dyn ChatFormat, format: &dyn CallFormat) -> Self {
        let mut turns = HashMap::new();
        for demonstration in demonstrations {
            for (at, turn) in demonstration.turns.iter().enumerate() {
                let call = turn.call.as_ref().map(|(call, _)| format.render(call));
                let mut tokens = chat.tokens(&format!("{}\n{}", turn.text, call.unwrap_or_default()));
                tokens.push(chat.stop_tokens()[0]);
                turns.insert((demonstration.task.id.clone(), at), tokens);
            }
        }
        Self(turns)
    }
}

impl Policy for Replay {
    fn serve(&mut self, turns: &Turns<'_>, _end: &TurnEnd<'_>) -> Result<(), PolicyError> {
        while let Some(context) = turns.take() {
            let tokens = self.0[&(context.task.to_string(), context.turn)].clone();
            let said = Completion { logprobs: vec![-0.5; tokens.len()], tokens, ..Completion::default() };
            turns.answer(context.index, said);
        }
        Ok(())
    }
}

/// Every program of the demonstrations with its output.
fn table(env: &dyn Env, demonstrations: &[Demonstration]) -> Scripted {
    let mut scripted = Scripted::new();
    for demonstration in demonstrations {
        for (call, output) in demonstration.turns.iter().filter_map(|turn| turn.call.as_ref()) {
            let opened = env.session(Start::first(&demonstration.task, &Echo)).expect("arithmetic opens");
            let tool = opened.tool(&call.name).expect("the call names its tool");
            let program = tool.call(&call.arguments, CallContext::default()).expect("no fault").stdout;
            scripted = scripted.prints(&program, &format!("{}\n", output.output().unwrap_or_default()));
        }
    }
    scripted
}

fn rollouts(c: &mut Criterion) {
    let env = EnvConfig::Arithmetic(turnwise_envs::ArithmeticConfig::default())
        .open(&ExecutorConfig::default())
        .expect("the defaults open");
    let demonstrations: Vec<Demonstration> =
        (0..TASKS).map(|index| env.demonstration(index).expect("arithmetic solves its tasks")).collect();
    let tasks: Vec<&Task> = demonstrations.iter().map(|demonstration| &demonstration.task).collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny/tokenizer.json");
    let chat = ChatMl::new(Tokenizer::from_file(path).expect("models/tiny")).expect("a ChatML tokenizer");
    let format = FormatName::Hermes.build();
    let scripted = table(&*env, &demonstrations);
    let python = PythonExecutor::new(PythonConfig::default()).expect("python3 is installed");
    let mut policy = Replay::new(&demonstrations, &chat, &*format);
    let executors: [(&str, &dyn Executor); 2] = [("answers from a table", &scripted), ("python", &python)];
    let mut group = c.benchmark_group("play");
    group.sample_size(10).throughput(Throughput::Elements(TASKS * u64::from(SAMPLES)));
    for (name, executor) in executors {
        let limits =
            Limits { turns: 8, turn_tokens: 256, tokens: 2048, observation_tokens: 256, turn_calls: 32 };
        let game = Game {
            env: &*env,
            chat: &chat,
            format: &*format,
            executor,
            limits,
            describe_tools: false,
            stop_at_call: false,
            keep_state: false,
        };
        group.bench_function(format!("{TASKS} tasks of {SAMPLES}, {name}"), |bencher| {
            bencher.iter(|| {
                play(&game, &tasks, SAMPLES, &mut policy, &mut |_, _| {}).expect("a replay answers")
            });
        });
    }
}

/// Python that answers late.
struct Late {
    python: PythonExecutor,
    after: Duration,
}

impl Executor for Late {
    fn run(&self, code: &str) -> Result<ToolOutput, ExecutorFault> {
        std::thread::sleep(self.after);
        self.python.run(code)
    }

    fn session(&self) -> Result<Box<dyn CodeSession>, ExecutorFault> {
        self.python.session()
    }

    fn describe(&self) -> ExecutorInfo {
        self.python.describe()
    }

    fn at_once(&self) -> usize {
        32
    }
}

/// A model that samples the turns of all trajectories together, and waits for all of them.
struct Lockstep {
    generator: Generator,
    trajectories: usize,
}

impl Policy for Lockstep {
    fn serve(&mut self, turns: &Turns<'_>, end: &TurnEnd<'_>) -> Result<(), PolicyError> {
        let shard = turns.shard(0, 1);
        let rule = StopRule { tokens: end.tokens(), strings: &[], decode: None };
        let (mut left, mut ready) = (self.trajectories, Vec::new());
        while let Some(batch) = shard.take(true) {
            ready.extend(batch.turns);
            left -= batch.ended.len();
            if ready.len() < left {
                continue;
            }
            let requests: Vec<_> = ready.iter().map(request).collect();
            let mut watches: Vec<_> = ready.iter().map(|_| end.watch()).collect();
            let mut ends = |row: usize, token: TokenId| watches[row].sampled(token).is_some();
            let said = self.generator.complete_watched(&requests, &rule, &mut ends).expect("finite logits");
            for (context, turn) in ready.drain(..).zip(said) {
                let sampler::Generation { tokens, logprobs, finish, .. } = turn;
                let said = Completion { tokens, logprobs, finish, ..Completion::default() };
                turns.answer(context.index, said);
            }
        }
        Ok(())
    }
}

fn request<'c>(context: &'c Context<'_>) -> sampler::GenerationRequest<'c> {
    let task = context.task.bytes().fold(0, |hash: u64, byte| hash.wrapping_mul(31) + u64::from(byte));
    let (occurrence, sample, turn) = (context.occurrence, context.sample, context.turn as u32);
    let id = SequenceId { seed: 0, step: 0, task, occurrence, sample, turn };
    let (key, max_new, rng) = (context.index as u64, context.max_new, id.rng());
    sampler::GenerationRequest { key, tokens: &context.tokens, max_new, rng }
}

/// One line per way to play.
fn occupancy(_: &mut Criterion) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/tiny.toml");
    let config: RunConfig = load(Some(&file), &[], &[]).expect("configs/tiny.toml");
    let model = load_model(&folder, &backend::device(None).expect("a backend")).expect("models/tiny");
    let tokenizer = Tokenizer::from_file(folder.join("tokenizer.json")).expect("models/tiny");
    let (context, now) = (model.config().context(), Moment::now());
    let setup = Setup::open(&config.env, &config.rollout, Some(&folder), tokenizer, context, now)
        .expect("the shipped config opens");
    let tasks: Vec<&Task> = setup.env.train().iter().take(TASKS as usize).collect();
    let trajectories = tasks.len() * SAMPLES as usize;
    println!("{trajectories} trajectories of models/tiny; tokens per step, wall s, CPU s");
    for after in [0, 50].map(Duration::from_millis) {
        let python = PythonConfig { workers: Some(32), ..PythonConfig::default() };
        let late = Late { python: PythonExecutor::new(python).expect("python3 is installed"), after };
        let game = Game { executor: &late, ..setup.game() };
        for round in 0..3 {
            for lockstep in [true, false] {
                let generator = generator(&model, Sampling::default());
                let mut together = Lockstep { generator, trajectories };
                let mut ready = ModelPolicy::new(&model, Sampling::default(), 1, 0, 0);
                let mut tokens = 0;
                let cost = cost(|| {
                    let policy: &mut dyn Policy = if lockstep { &mut together } else { &mut ready };
                    let played = play(&game, &tasks, SAMPLES, policy, &mut |_, _| {}).expect("it plays");
                    let turns = played.groups.iter().flatten().flat_map(|trajectory| &trajectory.turns);
                    tokens = turns.map(|turn| turn.tokens.len()).sum();
                });
                let steps = if lockstep { together.generator.steps() } else { ready.steps() };
                let name = if lockstep { "in lockstep" } else { "as turns are ready" };
                println!(
                    "round {round}, tools after {:>2} ms, {name:<18} {:6.1} {:7.2} {:7.2}",
                    after.as_millis(),
                    tokens as f64 / steps as f64,
                    cost.wall,
                    cost.cpu
                );
            }
        }
    }
}

criterion_group!(benches, rollouts, occupancy);
criterion_main!(benches);
