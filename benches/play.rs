//! Multi-turn play without a model: parsing, checking, tool threads and tokens around a policy that replays
//! demonstrations. Once with answers from a table, which leaves the loop alone, and once with real Python.

use std::collections::HashMap;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokenizers::Tokenizer;
use turnwise_envs::{Demonstration, Env, EnvConfig, Request, Response, Task};
use turnwise_rollout::chat::{ChatFormat, ChatMl};
use turnwise_rollout::{Completion, Game, Limits, Policy, PolicyError, TurnEnd, Turns, play};
use turnwise_tools::executor::{PythonConfig, PythonExecutor, Scripted};
use turnwise_tools::{CallFormat, Executor, FormatName};
use turnwise_trajectory::{Finish, TokenId};

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
            let said = Completion { logprobs: vec![-0.5; tokens.len()], finish: Finish::EndOfTurn, tokens };
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
            if let Response::Run(program) = env.respond(&Request::first(&demonstration.task, call)) {
                scripted = scripted.prints(&program, &format!("{output}\n"));
            }
        }
    }
    scripted
}

fn rollouts(c: &mut Criterion) {
    let env =
        EnvConfig::Arithmetic(turnwise_envs::ArithmeticConfig::default()).open().expect("the defaults open");
    let demonstrations: Vec<Demonstration> =
        (0..TASKS).map(|index| env.demonstration(index).expect("arithmetic solves its tasks")).collect();
    let tasks: Vec<&Task> = demonstrations.iter().map(|demonstration| &demonstration.task).collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tiny/tokenizer.json");
    let chat = ChatMl::new(Tokenizer::from_file(path).expect("models/tiny")).expect("a ChatML tokenizer");
    let format = FormatName::Hermes.build();
    let scripted = table(&*env, &demonstrations);
    let python = PythonExecutor::new(PythonConfig::default()).expect("python3 is installed");
    let mut policy = Replay::new(&demonstrations, &chat, &*format);
    let executors: [(&str, &dyn Executor); 2] = [("answers from a table", &scripted), ("python", &python)];
    let mut group = c.benchmark_group("play");
    group.sample_size(10).throughput(Throughput::Elements(TASKS * u64::from(SAMPLES)));
    for (name, executor) in executors {
        let limits = Limits { turns: 8, turn_tokens: 256, tokens: 2048, observation_tokens: 256 };
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

criterion_group!(benches, rollouts);
criterion_main!(benches);
