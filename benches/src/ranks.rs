//! A step of GTPO on one rank and on two, with the part of it that is their exchange.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;
use turnwise_benches::cost::median;

use crate::small_model::small_model;

/// Steps of a run. The first one also grows memory and threads, so it doesn't count.
const STEPS: usize = 4;
/// The same work on each rank: two groups of four, two shards.
const DIVIDED: [&str; 5] =
    ["rollout.groups=2", "rollout.samples=4", "optimizer.shards=2", "advantage=gtpo", "eval.tasks=1"];

#[derive(Args)]
pub(crate) struct Ranks {
    /// A folder of SmolLM2-135M; without one, only the model of 8.4 million parameters is measured
    #[arg(long)]
    smollm2: Option<PathBuf>,
    /// How often each number of ranks is started, in turns; medians over all steps count
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// The binary, built with MPI
    #[arg(long, default_value = "target/release/turnwise")]
    binary: PathBuf,
    /// The launcher of MPI
    #[arg(long, default_value = "mpirun")]
    mpirun: PathBuf,
    /// Folder for models and runs
    #[arg(long, default_value = "target/ranks")]
    scratch: PathBuf,
}

/// Seconds of a step: rollouts, updates, and the exchange within the updates.
type Seconds = [f64; 3];

impl Ranks {
    pub(crate) fn run(self) -> Result<()> {
        fs::create_dir_all(&self.scratch)?;
        println!("| model | ranks | rollouts | updates | exchange in them | exchange / step |");
        println!("|---|---|---|---|---|---|");
        self.rows("8.4M", &small_model(&self.scratch)?)?;
        self.smollm2.as_deref().map_or(Ok(()), |folder| self.rows("135M", folder))
    }

    fn rows(&self, size: &str, model: &Path) -> Result<()> {
        let mut all: [Vec<Seconds>; 2] = Default::default();
        for _ in 0..self.rounds {
            for (at, steps) in all.iter_mut().enumerate() {
                steps.extend(self.steps(model, at + 1, &self.scratch.join(format!("{size}-{}", at + 1)))?);
            }
        }
        for (at, steps) in all.iter().enumerate() {
            let of = |part: usize| median(steps.iter().map(|step| step[part]).collect());
            let share = median(steps.iter().map(|step| step[2] / (step[0] + step[1])).collect());
            println!(
                "| {size} | {} | {:.2} s | {:.2} s | {:.3} s | {:.1} % |",
                at + 1,
                of(0),
                of(1),
                of(2),
                100.0 * share
            );
        }
        Ok(())
    }

    /// The steps of a fresh run on this number of ranks, without the first one.
    fn steps(&self, model: &Path, ranks: usize, run: &Path) -> Result<Vec<Seconds>> {
        if run.is_dir() {
            fs::remove_dir_all(run)?;
        }
        let mut command = Command::new(&self.mpirun);
        command.args(["--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "--quiet"]);
        command.args(["-n", &ranks.to_string()]).arg(&self.binary);
        command.args(["train", "benches/peers/grpo_step.toml", "--run"]).arg(run);
        let model = format!("model={:?}", model.display().to_string());
        for set in DIVIDED.into_iter().chain([&*model, &format!("train.steps={STEPS}")]) {
            command.args(["--set", set]);
        }
        let status =
            command.stdout(Stdio::null()).status().with_context(|| self.mpirun.display().to_string())?;
        ensure!(status.success(), "{ranks} ranks ended with {status}");
        let lines = fs::read_to_string(run.join("times.jsonl"))?;
        lines.lines().skip(1).map(seconds).collect()
    }
}

/// Reads a line of `times.jsonl`. One rank has no exchange.
fn seconds(line: &str) -> Result<Seconds> {
    let times: Value = serde_json::from_str(line)?;
    let number = |key: &str| times[key].as_f64().with_context(|| format!("times.jsonl has no {key}"));
    Ok([number("time_rollout")?, number("time_train")?, times["time_exchange"].as_f64().unwrap_or(0.0)])
}
