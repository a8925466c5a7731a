//! `turnwise train`: one run, from its file to a trained policy.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;
use turnwise_files::own;
use turnwise_inspect::Run;
use turnwise_inspect::report::curve;
use turnwise_ranks::{Ranks, guarded};
use turnwise_run::{Evaluation, RunDirError};
use turnwise_tools::Executor;
use turnwise_trainer::config::{RunConfig, load};
use turnwise_trainer::progress::Silent;
use turnwise_trainer::{Finished, Play, RunOptions, TrainError, executor, train};

use crate::run_file::Changes;
use crate::run_site::run_site;
use crate::{evaluation_table, output, progress, run_directory, several, stop};

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Train {
    /// The run file
    config: PathBuf,
    /// Folder of the run; an unfinished run there resumes [default: runs/NAME of the run file if that
    /// is new or unfinished, else the next of runs/NAME-2, …]
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    #[command(flatten)]
    changes: Changes,
    /// Go on with a run although its config or its tasks have changed
    #[arg(long)]
    allow_changes: bool,
    /// The device; see `turnwise doctor`
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Print the resolved config and stop
    #[arg(long)]
    dry_run: bool,
    /// Show curves, turns and a rollout on the terminal while it goes on
    #[arg(long)]
    tui: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    run: Cow<'a, str>,
    before: Evaluation,
    after: Evaluation,
}

impl Train {
    pub(crate) fn run(self) -> Result<()> {
        let config: RunConfig = load(Some(&self.config), &self.changes.overlay, &self.changes.set)?;
        if self.dry_run {
            return super::config::print(&config, self.json);
        }
        // Python starts before MPI: its processes fork, which those under MPI shouldn't.
        let executor = several::is_one().then(|| executor(&config.rollout)).transpose()?;
        let ranks = several::begin()?;
        several::same(&*ranks, self.run.as_deref())?;
        guarded(&*ranks, || self.train(&config, &ranks, executor))?;
        ranks.finish();
        Ok(())
    }

    fn train(
        &self,
        config: &RunConfig,
        ranks: &Arc<dyn Ranks>,
        mut executor: Option<Box<dyn Executor>>,
    ) -> Result<()> {
        let site = run_site(self.device.as_deref())?;
        // The others are asked to end when one is killed, and rank 0 speaks for all.
        let tells = !self.tui && ranks.leads();
        let stop = stop::on_signals(tells.then_some("stopping after this step, with a checkpoint"))?;
        let finished = loop {
            let run = match &self.run {
                Some(run) => run.clone(),
                None => several::path(&**ranks, || run_directory::claim(&self.config, config))?,
            };
            let mut progress =
                if ranks.leads() { progress::of_run(&run, self.tui)? } else { Box::new(Silent) };
            let options = RunOptions {
                allow_changes: self.allow_changes,
                stop,
                rollouts: &Play,
                ranks: ranks.clone(),
                executor: executor.take(),
            };
            match train(config, &site, &run, options, &mut *progress) {
                Ok(finished) => break finished,
                // Another process has resumed it first.
                Err(TrainError::RunDir(RunDirError::InUse { .. }))
                    if self.run.is_none() && ranks.size() == 1 => {}
                Err(error) => {
                    if self.run.is_none() && ranks.leads() {
                        // Removes the folder only if it is empty.
                        let _ = std::fs::remove_dir(&run);
                    }
                    return Err(error.into());
                }
            }
        };
        if ranks.leads() { conclude(&finished, self.json) } else { Ok(()) }
    }
}

/// Writes the learning curve into the run directory and the results to stdout and stderr.
pub(super) fn conclude(finished: &Finished, json: bool) -> Result<()> {
    let Finished { run, before, after, already } = finished;
    evaluation_table::write(&[("before", before), ("after", after)]);
    let mut lines = progress::on_stderr();
    if let Some(steps) = already {
        let run = run.display();
        lines.line(&format!("{run}: finished already, with all of its {steps} steps"));
        let longer = 2 * steps;
        lines.line(&format!(
            "  hint: --run {run} --set train.steps={longer} makes it longer; another --run begins anew"
        ));
    } else {
        let path = run.join("curve.svg");
        own::write(&path, curve(&Run::open(run)?)?.as_bytes())
            .with_context(|| format!("{}: cannot write", path.display()))?;
        lines.line(&format!("{}", run.display()));
    }
    if json {
        // The run's evaluation.json has the outcomes task by task.
        let short = |evaluation: &Evaluation| Evaluation { outcomes: Vec::new(), ..evaluation.clone() };
        let run = run.to_string_lossy();
        output::line(&Answer { run, before: short(before), after: short(after) })?;
    }
    Ok(())
}
