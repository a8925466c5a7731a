//! `turnwise credit`: which estimators can use recorded rollouts, without training.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use turnwise_credit::AdvantageConfig;
use turnwise_diagnosis::{Batch, Named, Settings, Sketches, States, batches, beginning, diagnose};
use turnwise_model::load as load_model;
use turnwise_runfile::{Above, Seed, Within};
use turnwise_trainer::config::load_score;
use turnwise_trainer::{Sketch, backend, score_sketches};
use turnwise_trajectory::{Sequence, Trajectory};

use crate::failure::Usage;
use crate::recorded_groups::Rollouts;
use crate::run_file::Changes;
use crate::{credit_table, output, progress};

#[derive(Args)]
pub(crate) struct Credit {
    /// A run directory, a file that `turnwise rollout --out` wrote, or groups as `turnwise score` reads them
    #[arg(value_name = "RUN|FILE")]
    rollouts: PathBuf,
    /// Estimators, each with settings after plus signs, as in gtpo+gamma=1+shaping.alpha=0; a key without a
    /// dot belongs to the estimator [default: every estimator]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    estimators: Vec<String>,
    /// A run file, or a file with nothing but shaping, advantage, filter and reward [default: the run's own]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    changes: Changes,
    /// Use the last steps of a run only
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    #[arg(value_parser = Within::<1, 1_000_000>::parse::<u32>)]
    last_steps: Option<u32>,
    /// Trajectories of a subgroup, the group that estimators see
    #[arg(long, value_name = "NUMBER", default_value_t = 8, allow_negative_numbers = true)]
    #[arg(value_parser = Within::<2, 1_024>::parse::<u32>)]
    group: u32,
    /// How often a task's trajectories are cut into random subgroups
    #[arg(long, value_name = "NUMBER", default_value_t = 4, allow_negative_numbers = true)]
    #[arg(value_parser = Within::<1, 1_000>::parse::<u32>)]
    draws: u32,
    /// Fewest trajectories outside of a subgroup behind the success rate of a state
    #[arg(long, value_name = "NUMBER", default_value_t = 12, allow_negative_numbers = true)]
    #[arg(value_parser = Within::<1, 1_000_000>::parse::<u32>)]
    others: u32,
    /// The equality of states
    #[arg(long, value_name = "NAME", default_value = "path")]
    states: StatesName,
    /// Decides subgroups and the projection of gradients
    #[arg(long, value_name = "NUMBER", default_value_t = 0, allow_negative_numbers = true)]
    #[arg(value_parser = Seed::parse::<u64>)]
    seed: u64,
    /// The Hugging Face folder that sampled the rollouts, for signal to noise [default: none]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Most trajectories whose gradients are computed, a backward pass for each turn
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 256,
        allow_negative_numbers = true,
        requires = "model"
    )]
    #[arg(value_parser = Within::<4, 1_000_000>::parse::<u32>)]
    gradients: u32,
    /// Entries of the projection of a gradient
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 4_096,
        allow_negative_numbers = true,
        requires = "model"
    )]
    #[arg(value_parser = Within::<64, 1_048_576>::parse::<u32>)]
    sketch: u32,
    /// The temperature that the rollouts were sampled at
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 1.0,
        allow_negative_numbers = true,
        requires = "model"
    )]
    #[arg(value_parser = Above::<0, 100>::parse::<f64>)]
    temperature: f64,
    /// The device; see `turnwise doctor`
    #[arg(long, value_name = "NAME", requires = "model")]
    device: Option<String>,
    /// A file for the picture [default: none]
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print the diagnosis as JSON
    #[arg(long)]
    json: bool,
}

/// Names [`States`] on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum StatesName {
    /// The same calls and observations in the same order, as `turn_tree` compares them
    Path,
    /// The same observations in the same order, whatever was called
    Observations,
    /// The same observations in any order
    Set,
}

impl From<StatesName> for States {
    fn from(name: StatesName) -> Self {
        match name {
            StatesName::Path => Self::Path,
            StatesName::Observations => Self::Observations,
            StatesName::Set => Self::Set,
        }
    }
}

/// Largest difference of log-probabilities that rounding explains, in nats.
const SAME_MODEL: f32 = 0.05;

impl Credit {
    pub(crate) fn run(mut self) -> Result<()> {
        let own = self.rollouts.join("config.toml");
        if self.config.is_none() && own.is_file() {
            self.config = Some(own);
        }
        let base = load_score(self.config.as_deref(), &self.changes.overlay, &self.changes.set)?;
        let chosen = base.advantage.name();
        let estimators = self.named(chosen)?;
        let last = self.last_steps.map(|steps| steps as usize);
        let rollouts = Rollouts::read(&self.rollouts, last, self.model.is_some())?;
        let sizes: Vec<usize> = rollouts.tasks.iter().map(|task| task.group.trajectories.len()).collect();
        let draws = batches(&sizes, self.group as usize, self.draws as usize, self.seed);
        let sketched = match self.model {
            Some(_) => beginning(&draws[0], self.gradients as usize),
            None => Vec::new(),
        };
        let (sketches, gap) = self.sketches(&rollouts, &sketched)?;
        let settings = Settings {
            subgroup: self.group as usize,
            others: self.others as usize,
            states: self.states.into(),
            correct_at: base.reward.correct_at,
        };
        let mut found = diagnose(&rollouts.tasks, &draws, &estimators, settings, &sketches, &sketched)?;
        if gap > SAME_MODEL {
            found.notes.push(format!(
                "Log-probabilities differ from the recorded ones by up to {gap:.2} nats: the model, or the \
                 temperature, isn't the one that sampled all of the rollouts."
            ));
        }
        credit_table::write(&found);
        if let Some(path) = &self.svg {
            let name = self.rollouts.file_name().unwrap_or_default().to_string_lossy().into_owned();
            std::fs::write(path, credit_table::picture(&name, &found))
                .with_context(|| format!("{}: cannot write", path.display()))?;
        }
        if self.json {
            output::line(&found)?;
        }
        Ok(())
    }

    /// Returns the estimators asked for. `chosen` is that of the settings.
    fn named(&self, chosen: &str) -> Result<Vec<Named>> {
        let all: Vec<String> = AdvantageConfig::NAMES.iter().map(ToString::to_string).collect();
        let asked = if self.estimators.is_empty() { &all } else { &self.estimators };
        asked.iter().map(|item| self.estimator(item, chosen)).collect()
    }

    fn estimator(&self, item: &str, chosen: &str) -> Result<Named> {
        let (name, keys) = item.split_once('+').map_or((item, None), |(name, keys)| (name, Some(keys)));
        if !AdvantageConfig::NAMES.contains(&name) {
            let known = AdvantageConfig::NAMES.join(", ");
            let message =
                format!("--estimators {item}: unknown estimator `{name}`\n  hint: known are {known}");
            return Err(Usage(message).into());
        }
        let mut sets = self.changes.set.clone();
        if name != chosen {
            sets.push(format!("advantage={name}"));
        }
        for key in keys.into_iter().flat_map(|keys| keys.split('+')) {
            let path = key.split('=').next().unwrap_or(key);
            sets.push(if path.contains('.') { key.into() } else { format!("advantage.{name}.{key}") });
        }
        let config = load_score(self.config.as_deref(), &self.changes.overlay, &sets)?;
        Ok(Named { name: item.into(), scorer: config.scorer() })
    }

    /// Returns the scores of the trajectories of subgroups, and the largest difference of log-probabilities.
    fn sketches(&self, rollouts: &Rollouts, sketched: &[Batch]) -> Result<(Sketches, f32)> {
        let mut sketches = Sketches::default();
        let Some(folder) = &self.model else { return Ok((sketches, 0.0)) };
        let device = backend::checked(self.device.as_deref())?;
        let model = load_model(folder, &device.autodiff())?;
        let mut keys = Vec::new();
        for (task, members) in sketched.iter().flatten() {
            keys.extend(members.iter().map(|member| (*task, *member)));
        }
        let mut played: Vec<&Trajectory> = Vec::new();
        for (task, member) in &keys {
            let name = || {
                format!(
                    "{}: trajectory {member} of {}",
                    self.rollouts.display(),
                    rollouts.tasks[*task].group.group
                )
            };
            let found = rollouts.played[*task][*member].as_ref();
            let trajectory = found.ok_or_else(|| anyhow!("{} has no tokens, which --model needs", name()))?;
            readable(trajectory, model.config().vocab_size, model.config().context())
                .map_err(|why| anyhow!("{} {why}", name()))?;
            played.push(trajectory);
        }
        let mut bar = progress::on_stderr();
        bar.phase("gradients", played.len() as u64);
        let sketch = Sketch { width: self.sketch as usize, seed: self.seed };
        let found =
            score_sketches(&model, &played, self.temperature, sketch, &mut |done| bar.advance(done as u64));
        let gap = found.iter().map(|one| one.logprob_gap).fold(0.0, f32::max);
        sketches.scores = keys.into_iter().zip(found.into_iter().map(|one| one.turns)).collect();
        Ok((sketches, gap))
    }
}

/// Checks that a model can read every sequence of a trajectory.
fn readable(trajectory: &Trajectory, vocab_size: usize, context: usize) -> Result<()> {
    if !trajectory.is_tree() {
        bail!("has a turn that continues a later one");
    }
    for Sequence { tokens, turns, .. } in trajectory.sequences() {
        if tokens.is_empty() || turns.first().is_some_and(|(_, span)| span.start == 0) {
            bail!("has no tokens before a turn, which --model needs");
        }
        if tokens.len() > context {
            bail!("has {} tokens, the model's context ends at {context}", tokens.len());
        }
        if let Some(token) = tokens.into_iter().find(|token| *token as usize >= vocab_size) {
            bail!("has token {token}, which isn't in the model's vocabulary of {vocab_size}");
        }
    }
    Ok(())
}
