//! `turnwise traces`: traces of agents from one format to another, and to rollouts that can be trained on.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;
use turnwise_rollout::chat::{Moment, decode};
use turnwise_run::{GroupRecord, RunDir, RunEnvironment};
use turnwise_runfile::to_toml;
use turnwise_traces::Traces as Read;
use turnwise_trainer::config::{RunConfig, load};
use turnwise_trajectory::TokenId;

use crate::failure::Usage;
use crate::run_file::Changes;
use crate::{input, model_folder, output, progress};

#[derive(Args)]
pub(crate) struct Traces {
    /// Sessions of `turnwise serve`, rollouts of a run, `TrainingTrace`s of OpenEnv, or trajectories of
    /// Harbor (ATIF); `-` is stdin
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Print the traces in this format, one a line
    #[arg(long, value_name = "FORMAT", required_unless_present = "run", conflicts_with = "run")]
    to: Option<To>,
    /// JSON lines with rewards of traces: `session`, and any of `task`, `rewards`, `turn_rewards`, `correct`
    #[arg(long, value_name = "FILE")]
    rewards: Option<PathBuf>,
    /// A Hugging Face folder, whose tokenizer gives the texts that a format has room for
    #[arg(long, value_name = "DIR", conflicts_with = "run")]
    model: Option<PathBuf>,
    /// Write the traces as a run that `turnwise replay` learns from
    #[arg(long, value_name = "DIR", requires = "config")]
    run: Option<PathBuf>,
    /// The run file of that run
    #[arg(long, value_name = "FILE", requires = "run")]
    config: Option<PathBuf>,
    #[command(flatten)]
    changes: Changes,
}

#[derive(Clone, Copy, ValueEnum)]
enum To {
    /// Groups of a run's rollouts, for `turnwise score`, `credit` and `view`
    Rollouts,
    /// `TrainingTrace` of OpenEnv, version 1
    TrainingTrace,
    /// ATIF 1.7 of Harbor
    Atif,
}

impl Traces {
    pub(crate) fn run(self) -> Result<()> {
        let config: Option<RunConfig> = match &self.config {
            Some(file) => Some(load(Some(file), &self.changes.overlay, &self.changes.set)?),
            None if self.changes.overlay.is_empty() && self.changes.set.is_empty() => None,
            None => {
                let message = "--set and --overlay change the run file of --config, and there is none";
                return Err(Usage(message.into()).into());
            }
        };
        let traces = self.read(config.as_ref().map(|config| &*config.model))?;
        match (self.to, self.run.as_deref().zip(config.as_ref())) {
            (Some(To::TrainingTrace), _) => each(traces.training_traces()),
            (Some(To::Atif), _) => each(traces.atif()),
            (_, Some((run, config))) => write(run, config, traces.rollouts(config.reward.correct_at)?),
            (_, None) => each(traces.rollouts(1.0)?),
        }
    }

    /// Reads the files, rewards and texts. `model`: the folder of a run's model.
    fn read(&self, model: Option<&Path>) -> Result<Read> {
        let (mut traces, mut trials) = (Read::default(), Vec::new());
        for file in &self.files {
            if file.as_os_str() == "-" {
                traces.read("stdin", &input::stdin()?)?;
                continue;
            }
            let last = traces.read(&file.display().to_string(), &input::file(file)?)?;
            trials.extend(last.zip(result_of_trial(file)));
        }
        traces.whole()?;
        // The rewards are for the last call, which may be in a later file.
        for (trace, result) in trials {
            traces.reward_trial(trace, &result.display().to_string(), &input::file(&result)?)?;
        }
        if let Some(file) = &self.rewards {
            traces.reward(&file.display().to_string(), &input::file(file)?)?;
        }
        if traces.all().iter().all(|trace| trace.calls.is_empty()) {
            let first = self.files[0].display();
            bail!("{first}: there is no call of a model\n  hint: name a file with calls of an agent");
        }
        if let Some(folder) = self.model.as_deref().or(model) {
            let (tokenizer, ends) = (model_folder::tokenizer(folder)?, model_folder::end_tokens(folder)?);
            let read = |tokens: &[TokenId]| decode(&tokenizer, tokens);
            let sampled = |tokens: &[TokenId]| match tokens.split_last() {
                Some((last, said)) if ends.contains(last) => read(said),
                _ => read(tokens),
            };
            traces.spell(sampled, read);
        }
        Ok(traces)
    }
}

/// Returns the `result.json` of a trial of Harbor, if a file is its `agent/trajectory.json`.
fn result_of_trial(file: &Path) -> Option<PathBuf> {
    let agent = file.parent().filter(|folder| file.ends_with("agent/trajectory.json") && folder.is_dir())?;
    let result = agent.parent()?.join("result.json");
    result.is_file().then_some(result)
}

/// Prints values as lines.
fn each(values: impl IntoIterator<Item: Serialize>) -> Result<()> {
    for value in values {
        output::line(&value)?;
    }
    Ok(())
}

/// Writes groups as the rollouts of a run, as many a step as the run file says.
fn write(path: &Path, config: &RunConfig, mut groups: Vec<GroupRecord>) -> Result<()> {
    let traces: usize = groups.iter().map(|group| group.trajectories.len()).sum();
    let alone = groups.iter().filter(|group| group.trajectories.len() == 1).count();
    let tasks = groups.len();
    let environment = RunEnvironment {
        version: env!("CARGO_PKG_VERSION").into(),
        began: Moment::now().unix(),
        ..RunEnvironment::default()
    };
    let run = RunDir::create(path, &to_toml(config), &environment)?;
    let mut steps = 0;
    for (step, groups) in groups.chunks_mut(config.rollout.groups).enumerate() {
        let line = |group: &mut GroupRecord| {
            group.step = step;
            serde_json::to_string(group).map_err(|error| anyhow!(error))
        };
        run.write_rollouts(step, &groups.iter_mut().map(line).collect::<Result<Vec<_>>>()?)?;
        steps = step + 1;
    }
    let mut lines = progress::on_stderr();
    lines.line(&format!("{}: {traces} traces of {tasks} tasks in {steps} steps", path.display()));
    if alone > 0 {
        lines.line(&format!(
            "{alone} of {tasks} tasks have one trace, and estimators compare the traces of a task\n  \
             hint: give traces of one task the same \"task\" in --rewards FILE"
        ));
    }
    if steps > config.train.steps {
        lines.line(&format!(
            "train.steps = {}: a replay learns from the first of the {steps} steps\n  \
             hint: --set train.steps={steps} takes all",
            config.train.steps
        ));
    }
    Ok(())
}
