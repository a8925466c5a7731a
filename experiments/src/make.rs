//! Makes one run: the commands of `turnwise` that train and evaluate it, and its record.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cell::{COLD_START, Cell};
use crate::drive::Driver;
use crate::held_out::{Digits, Evaluated, HeldOut, by_task};
use crate::moved::{Moved, PROMPTS, distance, log_ratio, tokens};
use crate::record::{Record, append};

/// Cold starts that are tried for a seed, each from weights of another seed.
const TRIES: u64 = 3;
/// Distance between the seeds of two tries. No experiment has seeds in between.
const NEXT_SEED: u64 = 1000;

impl Driver<'_> {
    /// Makes one run, or resumes it.
    pub(crate) fn make(&self, cell: &Cell, core: usize) -> Result<Record> {
        if cell.method == COLD_START {
            return self.cold_start(cell, core);
        }
        let run = self.run_folder(cell);
        let mut train = self.turnwise(core, "train");
        train.arg(self.run_file(cell)).arg("--run").arg(&run);
        for set in self.settings(cell)? {
            train.args(["--set", &set]);
        }
        self.finish(train, cell, "train")?;
        let last = run.join(format!("checkpoints/step_{:05}", self.plan.updates));
        let mut record = Record::harvest(cell, Some(&run), self.evaluate(cell, &last, core)?)?;
        let start = self.cold_folder(cell);
        record.moved =
            Some(Moved { distance: distance(&last, &start)?, kl: self.divergence(cell, &start, core)? });
        Ok(record)
    }

    /// Records a run and removes files that are no longer needed.
    pub(crate) fn settle(&self, cell: &Cell, record: &Record) -> Result<()> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let guard = ONE_AT_A_TIME.lock().expect("no worker panicked");
        if !self.plan.records(self.name)?.iter().any(|known| known.is_of(cell)) {
            append(&self.plan.data(self.name), record)?;
        }
        drop(guard);
        // The evaluation's trajectories are large.
        let _ = std::fs::remove_file(self.played(cell));
        if cell.method == COLD_START {
            let (tried, out) = (self.tried_folder(cell, record.refused.len() as u64), self.cold_folder(cell));
            if !out.is_dir() {
                std::fs::rename(&tried, &out).with_context(|| tried.display().to_string())?;
            }
        } else if !self.keep {
            std::fs::remove_dir_all(self.run_folder(cell)).context("the recorded run can't be removed")?;
        }
        Ok(())
    }

    /// Makes a cold start that meets the experiment's rule. The rule reads the cold start only.
    fn cold_start(&self, cell: &Cell, core: usize) -> Result<Record> {
        let out = self.cold_folder(cell);
        if out.is_dir() {
            return Record::harvest(cell, None, self.evaluate(cell, &out, core)?);
        }
        let mut refused = Vec::new();
        for attempt in 0..TRIES {
            let tried = self.tried_folder(cell, attempt);
            if !tried.is_dir() {
                let mut sft = self.turnwise(core, "sft");
                sft.arg(self.plan.file(&format!("{}-sft.toml", cell.family))).arg("--out").arg(&tried);
                sft.args(["--set", &format!("seed={}", cell.seed + NEXT_SEED * attempt)]);
                sft.args(["--set", &self.env_seed(cell)?, "--set", "eval.tasks=1"]);
                self.finish(sft, cell, "sft")?;
            }
            // A driver that begins again needs no second evaluation of it.
            let known = tried.join("refused");
            if let Some(share) = std::fs::read_to_string(&known).ok().and_then(|share| share.parse().ok()) {
                refused.push(share);
                continue;
            }
            let evaluated = self.evaluate(cell, &tried, core)?;
            let Some(share) = self.refuses(cell, &evaluated.held_out) else {
                let mut record = Record::harvest(cell, None, evaluated)?;
                record.refused = refused;
                return Ok(record);
            };
            std::fs::write(&known, share.to_string()).with_context(|| known.display().to_string())?;
            refused.push(share);
        }
        bail!("{TRIES} cold starts are below the rule of plan.toml: {refused:?}")
    }

    /// Returns the share of right answers for which the rule refuses a cold start.
    fn refuses(&self, cell: &Cell, held_out: &HeldOut) -> Option<f64> {
        let rules = self.experiment.cold_starts.iter().filter(|rule| rule.family == cell.family);
        let shares =
            rules.map(|rule| (held_out.share(&rule.kinds, Digits::Right).unwrap_or(0.0), rule.at_least));
        shares.filter(|(share, least)| share < least).map(|(share, _)| share).next()
    }

    fn settings(&self, cell: &Cell) -> Result<Vec<String>> {
        let mut settings = self.plan.methods[&cell.method].set.clone();
        settings.extend([
            format!("model={:?}", self.cold_folder(cell).display().to_string()),
            self.env_seed(cell)?,
            format!("train.seed={}", cell.seed),
            format!("optimizer.lr={:e}", cell.rate),
            format!("train.steps={}", self.plan.updates),
            // The interval bounds the loss of an interruption. The held-out evaluation is a separate command.
            "train.checkpoint_every=10".into(),
            "train.keep=2".into(),
            "train.keep_best=0".into(),
            "eval.tasks=1".into(),
            "eval.samples=1".into(),
        ]);
        Ok(settings)
    }

    /// Returns the setting for the seed of the family's tasks.
    fn env_seed(&self, cell: &Cell) -> Result<String> {
        let path = self.run_file(cell);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("{}: cannot read", path.display()))?;
        let file: toml::Table = toml::from_str(&text).with_context(|| path.display().to_string())?;
        let env = file.get("env").and_then(toml::Value::as_table).and_then(|env| env.keys().next());
        let env = env.with_context(|| format!("{}: no env", path.display()))?;
        Ok(format!("env.{env}.seed={}", self.experiment.env_seed))
    }

    /// Plays the held-out tasks and counts. The trajectories stay in [`Self::played`].
    fn evaluate(&self, cell: &Cell, model: &Path, core: usize) -> Result<Evaluated> {
        let out = self.played(cell);
        // The rest of an interrupted evaluation.
        let _ = std::fs::remove_file(&out);
        let mut play = self.turnwise(core, "rollout");
        play.arg("--model").arg(model).arg("--config").arg(self.run_file(cell)).arg("--json");
        play.arg("--out").arg(&out);
        // All methods of a seed see the same random numbers.
        for set in [
            self.env_seed(cell)?,
            format!("train.seed={}", cell.seed),
            format!("eval.tasks={}", self.experiment.tasks),
            format!("eval.samples={}", self.experiment.samples),
        ] {
            play.args(["--set", &set]);
        }
        HeldOut::harvest(&self.finish(play, cell, "eval")?, &out)
    }

    /// Returns the KL to the cold start in nats a token, over the trajectories of the evaluation.
    fn divergence(&self, cell: &Cell, start: &Path, core: usize) -> Result<f64> {
        let (mut sum, mut count) = (0.0, 0);
        let given = self.played(cell).with_extension("tokens");
        for task in by_task(&self.played(cell))?.iter().take(PROMPTS) {
            std::fs::write(&given, serde_json::to_string(&tokens(&task[0].played))?)?;
            let mut logprobs = self.turnwise(core, "logprobs");
            logprobs.arg("--model").arg(start).args(["--tokens", "-"]).stdin(File::open(&given)?);
            let said: Value = serde_json::from_str(&self.finish(logprobs, cell, "logprobs")?)?;
            let start: Vec<Option<f64>> = serde_json::from_value(said["logprobs"].clone())?;
            let (of_line, tokens) = log_ratio(&task[0], &start)?;
            (sum, count) = (sum + of_line, count + tokens);
        }
        std::fs::remove_file(&given)?;
        Ok(sum / f64::from(u32::try_from(count.max(1))?))
    }

    fn run_file(&self, cell: &Cell) -> PathBuf {
        self.plan.file(&format!("{}.toml", cell.family))
    }

    fn run_folder(&self, cell: &Cell) -> PathBuf {
        self.scratch.join(self.name).join(cell.name())
    }

    pub(crate) fn cold_folder(&self, cell: &Cell) -> PathBuf {
        self.scratch.join("cold").join(format!("{}-{}", cell.family, cell.seed))
    }

    fn tried_folder(&self, cell: &Cell, attempt: u64) -> PathBuf {
        self.scratch.join("cold").join(format!("{}-{}-try-{attempt}", cell.family, cell.seed))
    }

    /// Returns the path of a run's evaluation, until it is recorded.
    fn played(&self, cell: &Cell) -> PathBuf {
        self.scratch.join(self.name).join(cell.name() + ".played.jsonl")
    }

    /// Returns a command on one core: there the trainer has one worker, and sums have the same order on every
    /// machine.
    fn turnwise(&self, core: usize, command: &str) -> Command {
        let mut process = Command::new("taskset");
        process.args(["-c", &core.to_string()]).arg(&self.binary).arg(command).stdin(Stdio::null());
        // Freed pages stay with the process, which saves an eighth of the CPU time where page faults are
        // slow.
        process.env("MIMALLOC_PURGE_DELAY", "-1");
        process
    }

    /// Runs a command to its end and returns what it printed. Its stderr goes to a file beside the run.
    fn finish(&self, mut command: Command, cell: &Cell, what: &str) -> Result<String> {
        let folder = self.scratch.join(self.name);
        std::fs::create_dir_all(&folder)?;
        let log = folder.join(format!("{}.{what}.log", cell.name()));
        let output = self.stop.run(command.stderr(File::create(&log)?)).with_context(|| {
            format!("{} doesn't start; it needs `taskset` (util-linux)", command.get_program().display())
        })?;
        if self.stop.asked() || !output.status.success() {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let last = said.lines().last().unwrap_or("nothing").to_string();
            bail!("turnwise {what} ended with {}: {last} ({})", output.status, log.display());
        }
        String::from_utf8(output.stdout).context("the output is no text")
    }
}
