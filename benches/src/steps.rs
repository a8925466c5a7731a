//! A whole step of GRPO and of GTPO, ours and TRL's in turns, phase by phase.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;
use turnwise_benches::cost::median;

use crate::small_model::small_model;

/// Columns of the table: ours twice, then TRL's.
const SIDES: [&str; 3] = ["grpo", "gtpo", "TRL"];
const PHASES: [&str; 2] = ["rollout", "train"];
/// Trajectories of a step, as in grpo_step.toml and grpo_step.py.
const SAMPLES: f64 = 8.0;

#[derive(Args)]
pub(crate) struct Steps {
    /// A Python with torch, transformers, datasets and trl
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// A folder of SmolLM2-135M; without one, only the model of 8.4 million parameters is measured
    #[arg(long)]
    smollm2: Option<PathBuf>,
    /// How often each side starts; the medians of their second steps count
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The binary
    #[arg(long, default_value = "target/release/turnwise")]
    binary: PathBuf,
    /// Folder for models and runs
    #[arg(long, default_value = "target/steps")]
    scratch: PathBuf,
}

/// Cost of a phase of a step.
#[derive(Clone, Copy, serde::Deserialize)]
struct Phase {
    wall: f64,
    cpu: f64,
    peak_gib: f64,
}

/// Both phases for 1,000 sampled tokens, as turns end where the model says so.
fn for_1000(phases: [Phase; 2], tokens: f64) -> [Phase; 2] {
    let scale = 1000.0 / tokens;
    phases.map(|phase| Phase { wall: phase.wall * scale, cpu: phase.cpu * scale, ..phase })
}

impl Steps {
    pub(crate) fn run(self) -> Result<()> {
        fs::create_dir_all(&self.scratch)?;
        println!(
            "| model, phase | CPU, GRPO | GTPO | TRL | TRL/GRPO | wall, GRPO | GTPO | TRL | peak, GRPO | GTPO | TRL | GRPO/TRL |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
        self.rows("8.4M", &small_model(&self.scratch)?)?;
        self.smollm2.as_deref().map_or(Ok(()), |folder| self.rows("135M", folder))
    }

    fn rows(&self, size: &str, model: &Path) -> Result<()> {
        let mut all: [Vec<[Phase; 2]>; 3] = Default::default();
        for round in 0..self.rounds {
            let run = |advantage: &str| self.scratch.join(format!("{size}-{advantage}-{round}"));
            for (side, phases) in SIDES.iter().zip(&mut all) {
                phases.push(match *side {
                    "TRL" => self.theirs(model, &run(SIDES[0]))?,
                    advantage => self.ours(model, advantage, &run(advantage))?,
                });
            }
        }
        for (at, phase) in PHASES.iter().enumerate() {
            let of = |value: fn(&Phase) -> f64| {
                [0, 1, 2].map(|side| median(all[side].iter().map(|phases| value(&phases[at])).collect()))
            };
            let (cpu, wall, peak) = (of(|p| p.cpu), of(|p| p.wall), of(|p| p.peak_gib));
            println!(
                "| {size}, {phase} | {:.2} s | {:.2} s | {:.2} s | {:.2} | {:.2} s | {:.2} s | {:.2} s | {:.2} GiB | {:.2} GiB | \
                 {:.2} GiB | {:.2} |",
                cpu[0],
                cpu[1],
                cpu[2],
                cpu[2] / cpu[0],
                wall[0],
                wall[1],
                wall[2],
                peak[0],
                peak[1],
                peak[2],
                peak[0] / peak[2],
            );
        }
        Ok(())
    }

    /// The second step of a fresh run of ours.
    fn ours(&self, model: &Path, advantage: &str, run: &Path) -> Result<[Phase; 2]> {
        if run.is_dir() {
            fs::remove_dir_all(run)?;
        }
        let mut command = Command::new(&self.binary);
        command.arg("train").arg("benches/peers/grpo_step.toml").arg("--run").arg(run);
        command.args(["--set", &format!("model={:?}", model.display().to_string())]);
        command.args(["--set", &format!("advantage={advantage}")]);
        output(&mut command)?;
        let lines = fs::read_to_string(run.join("times.jsonl"))?;
        let times: Value = serde_json::from_str(lines.lines().nth(1).context("two steps")?)?;
        let metrics = fs::read_to_string(run.join("metrics.jsonl"))?;
        let metrics: Value = serde_json::from_str(metrics.lines().nth(1).context("two steps")?)?;
        let number = |key: String| times[&key].as_f64().with_context(|| format!("times.jsonl has no {key}"));
        let phase = |name: &str| {
            Ok::<_, anyhow::Error>(Phase {
                wall: number(format!("time_{name}"))?,
                cpu: number(format!("cpu_{name}"))?,
                peak_gib: number(format!("peak_{name}"))? / f64::from(1 << 30),
            })
        };
        let sampled = metrics["sampled_tokens"].as_f64().context("metrics.jsonl has no sampled_tokens")?;
        Ok(for_1000([phase(PHASES[0])?, phase(PHASES[1])?], SAMPLES * sampled))
    }

    /// The second step of TRL, on the prompts of a run of ours.
    fn theirs(&self, model: &Path, run: &Path) -> Result<[Phase; 2]> {
        let mut command = Command::new(&self.python);
        command.arg("benches/peers/grpo_step.py").arg(model).arg(run);
        let text = output(&mut command)?;
        let step: Value = serde_json::from_str(text.lines().nth(1).context("TRL made no second step")?)?;
        let phase = |name: &str| serde_json::from_value(step[name].clone()).context("grpo_step.py");
        let sampled = step["rollout"]["tokens"].as_f64().context("grpo_step.py counts no tokens")?;
        Ok(for_1000([phase(PHASES[0])?, phase(PHASES[1])?], sampled))
    }
}

/// Returns a program's stdout; its stderr goes to ours.
fn output(command: &mut Command) -> Result<String> {
    let done = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| command.get_program().display().to_string())?;
    ensure!(done.status.success(), "{} ended with {}", command.get_program().display(), done.status);
    String::from_utf8(done.stdout).context("the output is no text")
}
