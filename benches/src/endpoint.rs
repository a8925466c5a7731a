//! Conversations of `turnwise serve` beside the same ones as `turnwise rollout` plays them, in turns.
//!
//! A user asks for sums, one after the other, and the model of `models/tiny` answers greedily. Both sides say
//! the same words, so they sample the same tokens. This program is the clients: their time is not counted.

mod client;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};
use turnwise_benches::cost::{Cost, cost, median, processor_time_of};
use turnwise_envs::Task;
use turnwise_model::{Transformer, load as load_model};
use turnwise_rollout::chat::Moment;
use turnwise_rollout::play;
use turnwise_sampler::Sampling;
use turnwise_trainer::config::{RunConfig, load};
use turnwise_trainer::{ModelPolicy, Setup, TaskSplit, backend, tokenizer};

use client::post;

/// Sessions at a time.
const SESSIONS: usize = 32;
/// Batches of a round, each of that many sessions.
const BATCHES: usize = 8;
const TURNS: usize = 4;
const TURN_TOKENS: usize = 64;
const MODEL: &str = "models/tiny";

/// The user, who is a process to `turnwise rollout`.
const USER: &str = r#"
import turnwise_env
from turnwise_env import Step, Task
class Sums(turnwise_env.Env):
    train = held_out = 256
    def reset(self, split, index, seed):
        self.index, self.turn = index, 0
        return Task(str(index), self.question())
    def question(self):
        n, turn = self.index, self.turn
        return f"{(n + turn) % 17 + 2}+{n % 11 + 3}-{n * turn % 7 + 1}"
    def step(self, text, calls, malformed):
        self.turn += 1
        return Step(message=self.question())
turnwise_env.serve(Sums)
"#;

fn question(n: usize, turn: usize) -> String {
    format!("{}+{}-{}", (n + turn) % 17 + 2, n % 11 + 3, n * turn % 7 + 1)
}

#[derive(Args)]
pub(crate) struct Endpoint {
    /// The binary
    #[arg(long, default_value = "target/release/turnwise")]
    binary: PathBuf,
    /// How often each side plays; the medians count
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// Answers of a side, by conversation and turn, and their cost.
struct Side {
    said: Vec<Vec<String>>,
    tokens: usize,
    cost: Cost,
}

impl Endpoint {
    pub(crate) fn run(self) -> Result<()> {
        let here = Here::open()?;
        let there = There::start(&self.binary)?;
        // The first play of each fills caches.
        let (mut ours, mut theirs) = (vec![here.play()?], vec![there.play()?]);
        for _ in 0..self.rounds {
            ours.push(here.play()?);
            theirs.push(there.play()?);
        }
        for (ours, theirs) in ours.iter().zip(&theirs) {
            ensure!(ours.said == theirs.said, "both sides say the same");
        }
        let turns = ours[0].said.iter().map(Vec::len).sum::<usize>() as f64;
        let middle = |sides: &[Side], of: fn(&Side) -> f64| median(sides[1..].iter().map(of).collect());
        let cpu = [&ours, &theirs].map(|sides| middle(sides, |side| side.cost.cpu));
        let rate = [&ours, &theirs].map(|sides| middle(sides, |side| side.tokens as f64 / side.cost.wall));
        println!(
            "{turns} turns of {:.1} tokens, {SESSIONS} sessions at a time",
            ours[0].tokens as f64 / turns
        );
        println!("| | CPU time of a turn | tokens a second |");
        println!("|---|---|---|");
        for (name, at) in [("`turnwise rollout`", 0), ("`turnwise serve`", 1)] {
            println!("| {name} | {:.2} ms | {:.0} |", 1000.0 * cpu[at] / turns, rate[at]);
        }
        println!("| | {:+.2} ms | {:.2} |", 1000.0 * (cpu[1] - cpu[0]) / turns, rate[1] / rate[0]);
        Ok(())
    }
}

/// Plays in this process.
struct Here {
    setup: Setup,
    model: Transformer,
    tasks: Vec<Task>,
}

impl Here {
    fn open() -> Result<Self> {
        let library = Path::new("python").canonicalize().context("python/ is in the repository's root")?;
        let program = format!("import sys\nsys.path.insert(0, {:?})\n{USER}", library.display().to_string());
        let sets = [
            format!("env.process.command={}", json!(["python3", "-c", program])),
            "env.process.workers=1".into(),
            format!("rollout.max_turns={TURNS}"),
            format!("rollout.max_turn_tokens={TURN_TOKENS}"),
            "rollout.max_tokens=512".into(),
            "rollout.format=hermes".into(),
        ];
        let config: RunConfig = load(Some(Path::new("configs/tiny.toml")), &[], &sets)?;
        let folder = Path::new(MODEL);
        let model = load_model(folder, &backend::device(None)?)?;
        let context = model.config().context();
        let now = Moment::now();
        let setup =
            Setup::open(config.offer(), &config.rollout, Some(folder), tokenizer(folder)?, context, now)?;
        let tasks = setup.tasks(TaskSplit::HeldOut, SESSIONS * BATCHES)?;
        Ok(Self { setup, model, tasks })
    }

    fn play(&self) -> Result<Side> {
        let (game, sampling) = (self.setup.game(), Sampling { temperature: 0.0, ..Sampling::default() });
        let (mut said, mut tokens) = (Vec::new(), 0);
        let mut failed = Ok(());
        let cost = cost(|| {
            let mut policy = ModelPolicy::on_all_cores(&self.model, sampling, 0);
            for tasks in self.tasks.chunks(SESSIONS) {
                let tasks: Vec<&Task> = tasks.iter().collect();
                match play(&game, &tasks, 1, &mut policy, &mut |_, _| {}) {
                    Ok(played) => {
                        for trajectory in played.groups.into_iter().flatten() {
                            tokens += trajectory.turns.iter().map(|turn| turn.tokens.len()).sum::<usize>();
                            said.push(trajectory.turns.into_iter().map(|turn| turn.text).collect());
                        }
                    }
                    Err(error) => failed = Err(error),
                }
            }
        });
        failed?;
        ensure!(said.len() == self.tasks.len(), "every conversation is played");
        Ok(Side { said, tokens, cost })
    }
}

/// Plays over HTTP.
struct There {
    server: Child,
    address: String,
}

impl There {
    fn start(binary: &Path) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args(["serve", "--model", MODEL]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = command.spawn().with_context(|| binary.display().to_string())?;
        let mut line = String::new();
        BufReader::new(server.stdout.as_mut().context("stdout")?).read_line(&mut line)?;
        let told: Value = serde_json::from_str(&line).context("turnwise serve says its address")?;
        let url = told["url"].as_str().unwrap_or_default();
        let address = url.trim_start_matches("http://").trim_end_matches("/v1").to_string();
        Ok(Self { server, address })
    }

    fn play(&self) -> Result<Side> {
        let (started, before) = (Instant::now(), processor_time_of(self.server.id()));
        let mut all = Vec::new();
        for batch in 0..BATCHES {
            let played: Vec<Result<(Vec<String>, usize)>> = std::thread::scope(|threads| {
                let numbers = (0..SESSIONS).map(|session| batch * SESSIONS + session);
                let started: Vec<_> = numbers.map(|n| threads.spawn(move || self.converse(n))).collect();
                started.into_iter().map(|thread| thread.join().expect("no panic")).collect()
            });
            all.extend(played);
        }
        let cost =
            Cost { wall: started.elapsed().as_secs_f64(), cpu: processor_time_of(self.server.id()) - before };
        let all = all.into_iter().collect::<Result<Vec<_>>>()?;
        let tokens = all.iter().map(|(_, tokens)| tokens).sum();
        Ok(Side { said: all.into_iter().map(|(said, _)| said).collect(), tokens, cost })
    }

    /// Plays a conversation; returns the answers and the number of their tokens. A turn that is cut off ends
    /// it, as in a play.
    fn converse(&self, n: usize) -> Result<(Vec<String>, usize)> {
        let session = format!("session-{n}");
        let mut messages = Vec::new();
        let (mut said, mut tokens) = (Vec::new(), 0);
        for turn in 0..TURNS {
            messages.push(json!({"role": "user", "content": question(n, turn)}));
            let body = json!({"messages": messages, "max_tokens": TURN_TOKENS, "temperature": 0});
            let answer = post(&self.address, &session, "/v1/chat/completions", &body)?;
            let choice = &answer["choices"][0];
            tokens += answer["usage"]["completion_tokens"].as_u64().context("usage")? as usize;
            said.push(choice["message"]["content"].as_str().context("content")?.to_string());
            if choice["finish_reason"] == "length" {
                break;
            }
            messages.push(choice["message"].clone());
        }
        let reward = format!("/v1/sessions/{session}/reward");
        post(&self.address, &session, &reward, &json!({"done": true}))?;
        Ok((said, tokens))
    }
}

impl Drop for There {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
