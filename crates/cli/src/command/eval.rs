//! `turnwise eval`: a model on tasks that training never sees.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::Value;
use turnwise_model::load as load_model;
use turnwise_trainer::config::{RunConfig, load};
use turnwise_trainer::{Setup, backend, evaluate, tokenizer};

use crate::run_file::Changes;
use crate::{evaluation_table, output, progress};

#[derive(Args)]
pub(crate) struct Eval {
    /// A Hugging Face folder
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// A run file: its env, rollout, reward and eval, and the seed of its train
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    changes: Changes,
    /// The device; see `turnwise doctor`
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Print the evaluation as JSON
    #[arg(long)]
    json: bool,
}

impl Eval {
    pub(crate) fn run(mut self) -> Result<()> {
        // JSON's strings are TOML's.
        self.changes.set.push(format!("model={}", Value::from(self.model.display().to_string())));
        let config: RunConfig = load(Some(&self.config), &self.changes.overlay, &self.changes.set)?;
        let model = load_model(&self.model, &backend::device(self.device.as_deref())?)?;
        let context = model.config().max_position;
        let setup = Setup::open(&config.env, &config.rollout, tokenizer(&self.model)?, context)?;
        let mut progress = progress::on_stderr();
        progress.phase("evaluating", (config.eval.tasks * config.eval.samples) as u64);
        let seed = config.train.seed;
        let found = evaluate(&model, &setup.game(), &config.eval, &config.reward, seed, &mut |done, _| {
            progress.advance(done as u64);
        })?;
        drop(progress);
        evaluation_table::write(&[("held out", &found)]);
        if self.json {
            output::line(&found)?;
        }
        Ok(())
    }
}
