//! `turnwise score`: rewards to advantages, as the trainer computes them.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde::Deserialize;
use turnwise_rl::Scorer;
use turnwise_trainer::config::{ScoreConfig, load_score};
use turnwise_trajectory::{Group, ScoredTrajectory};

use crate::run_file::Changes;
use crate::{input, output};

#[derive(Args)]
pub(crate) struct Score {
    /// A run file, or a file with nothing but shaping, advantage and filter
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    changes: Changes,
}

/// A line of the input: a group, or a line of `rollouts/step_*.jsonl`, which has a step.
#[derive(Deserialize)]
struct Line {
    group: String,
    trajectories: Vec<ScoredTrajectory>,
    #[serde(default)]
    step: usize,
}

impl Line {
    /// Checks that each turn has its flag, where there are any. Trajectories are counted from 1.
    fn check(&self) -> Result<(), String> {
        for (i, trajectory) in self.trajectories.iter().enumerate() {
            let (flags, turns) = (trajectory.violations.len(), trajectory.turns.len());
            if flags > 0 && flags != turns {
                return Err(format!("trajectory {} has {flags} violation flags for {turns} turns", i + 1));
            }
        }
        Ok(())
    }
}

impl Score {
    pub(crate) fn run(self) -> Result<()> {
        let ScoreConfig { shaping, advantage, filter } =
            load_score(self.config.as_deref(), &self.changes.overlay, &self.changes.set)?;
        let scorer = Scorer::new(advantage, shaping, filter);
        let mut lines = Vec::new();
        for (number, text) in input::stdin()?.lines().enumerate().filter(|(_, text)| !text.trim().is_empty())
        {
            let place = format!("stdin:{}", number + 1);
            let line = input::json::<Line>(&place, text)?;
            line.check().map_err(|message| anyhow::anyhow!("{place}: {message}"))?;
            lines.push(line);
        }
        // Groups of one step are scored together: some estimators normalise over the batch, and α may be
        // annealed.
        for batch in lines.chunk_by_mut(|a, b| a.step == b.step) {
            let step = batch[0].step;
            let groups: Vec<Group> = batch
                .iter_mut()
                .map(|line| Group {
                    group: std::mem::take(&mut line.group),
                    trajectories: std::mem::take(&mut line.trajectories),
                })
                .collect();
            for scored in scorer.score(&groups, step).context("stdin")? {
                output::line(&scored)?;
            }
        }
        Ok(())
    }
}
