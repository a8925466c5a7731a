//! `turnwise replay`: trains on the rollouts of another run.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use turnwise_run::Recorded;
use turnwise_trainer::config::{RunConfig, load};
use turnwise_trainer::{RunOptions, train};

use crate::run_file::Changes;
use crate::run_site::run_site;
use crate::{progress, stop};

#[derive(Args)]
pub(crate) struct Replay {
    /// The run directory whose rollouts are learnt from; its config is the starting point
    recorded: PathBuf,
    /// Folder of the new run; an unfinished run there resumes
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    #[command(flatten)]
    changes: Changes,
    /// Go on with a run although its config has changed
    #[arg(long)]
    allow_changes: bool,
    /// The device; see `turnwise doctor`
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Show curves, turns and a rollout on the terminal while it goes on
    #[arg(long)]
    tui: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Replay {
    pub(crate) fn run(self) -> Result<()> {
        let file = self.recorded.join("config.toml");
        let config: RunConfig = load(Some(&file), &self.changes.overlay, &self.changes.set)?;
        let recorded = Recorded::open(&self.recorded)?;
        let site = run_site(self.device.as_deref())?;
        let options = RunOptions {
            allow_changes: self.allow_changes,
            stop: stop::on_signals((!self.tui).then_some("stopping after this step, with a checkpoint"))?,
            rollouts: &recorded,
            ..RunOptions::default()
        };
        let mut progress = progress::of_run(&self.run, self.tui)?;
        let finished = train(&config, &site, &self.run, options, &mut *progress)?;
        drop(progress);
        super::train::conclude(&finished, self.json)
    }
}
