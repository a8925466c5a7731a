//! `turnwise eval`: a model on tasks that training never sees, alone or against another one.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use serde_json::Value;
use turnwise_model::load as load_model;
use turnwise_rollout::chat::Moment;
use turnwise_run::Evaluation;
use turnwise_stats::{Comparison, Summary, compare, summarize};
use turnwise_trainer::config::{RunConfig, load};
use turnwise_trainer::{
    CacheBudget, RunServers, Setup, backend, evaluate, evaluate_agents, evaluate_on, tokenizer,
};

use crate::run_file::Changes;
use crate::run_site::server_key;
use crate::{evaluation_table, input, output, progress};

#[derive(Args)]
pub(crate) struct Eval {
    /// A Hugging Face folder
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// A run file: its env, rollout, reward and eval, and the seed of its train
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Another folder to play the same tasks, or the output of `turnwise eval --json` about it
    #[arg(long, value_name = "DIR|FILE")]
    against: Option<PathBuf>,
    #[command(flatten)]
    changes: Changes,
    /// The device; see `turnwise doctor`
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Print the evaluation as JSON
    #[arg(long)]
    json: bool,
}

/// Holds an evaluation as JSON; `--against` reads the first part back.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    evaluation: &'a Evaluation,
    summary: Summary,
    /// The other model, and the differences `model - against`.
    against: Option<Summary>,
    comparison: Option<Comparison>,
}

impl Eval {
    pub(crate) fn run(self) -> Result<()> {
        let against = self.against.as_deref().map(|other| self.other(other)).transpose()?;
        let found = self.evaluate(&self.model)?;
        let summary = summarize(&found.outcomes);
        let other = against.as_ref().map(|other| (other, summarize(&other.outcomes)));
        let comparison = against.as_ref().map(|other| compare(&other.outcomes, &found.outcomes));
        let mut columns = vec![("model", &found, &summary)];
        columns.extend(other.as_ref().map(|(other, summary)| ("against", *other, summary)));
        evaluation_table::write_in_full(&columns, comparison.as_ref());
        if self.json {
            let against = other.map(|(_, summary)| summary);
            output::line(&Answer { evaluation: &found, summary, against, comparison })?;
        }
        Ok(())
    }

    /// Returns results of the other model, new or from its earlier evaluation.
    fn other(&self, other: &Path) -> Result<Evaluation> {
        if other.is_file() {
            input::json(&other.display().to_string(), &input::file(other)?)
        } else {
            self.evaluate(other)
        }
    }

    fn evaluate(&self, folder: &Path) -> Result<Evaluation> {
        let mut sets = self.changes.set.clone();
        // JSON's strings are valid TOML.
        sets.push(format!("model={}", Value::from(folder.display().to_string())));
        let mut config: RunConfig = load(Some(&self.config), &self.changes.overlay, &sets)?;
        if let Some(server) = &mut config.rollout.server {
            // The folder holds whole weights.
            server.adapter = false;
        }
        let model = load_model(folder, &backend::checked(self.device.as_deref())?)?;
        let context = model.config().context();
        let (tokenizer, now) = (tokenizer(folder)?, Moment::now());
        let setup = Setup::open(config.offer(), &config.rollout, Some(folder), tokenizer, context, now)?;
        let mut progress = progress::on_stderr();
        progress.phase(&folder.display().to_string(), (config.eval.tasks * config.eval.samples) as u64);
        let seed = config.train.seed;
        let cache = CacheBudget::new(config.rollout.cache_mib, &model.device());
        let (game, eval, rewards) = (setup.game(), &config.eval, &config.reward);
        let mut told = |done: usize, _: usize| progress.advance(done as u64);
        let servers = RunServers::open(&config, &setup, server_key()?)?;
        let found = match (setup.env.agent(), servers) {
            (Some(agent), _) => {
                evaluate_agents(&model, (&setup, agent), eval, rewards, seed, cache, &mut told)
            }
            (None, Some(servers)) => {
                evaluate_on(&servers, (&model, 0), &game, eval, rewards, seed, &mut told)
            }
            (None, None) => evaluate(&model, &game, eval, rewards, seed, cache, &mut told),
        };
        setup.env.take_log().iter().for_each(|line| progress.line(line));
        let found = found?;
        found.lost_lines().iter().for_each(|line| progress.line(line));
        Ok(found)
    }
}
