//! `turnwise score`: rewards to advantages, as the trainer computes them.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_path_to_error::{Path, Segment};
use turnwise_credit::{Group, ScoredGroup, ScoredTrajectory, absent_names};
use turnwise_trainer::config::load_score;
use turnwise_trajectory::Rewards;

use crate::run_file::Changes;
use crate::{input, output, progress};

#[derive(Args)]
pub(crate) struct Score {
    /// A run file, or a file with nothing but shaping, advantage, filter and the keys of reward
    /// that groups need
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    changes: Changes,
}

/// Holds a line of the input: a group, or a line of `rollouts/step_*.jsonl`, which has a step.
#[derive(Deserialize)]
struct Line {
    group: String,
    trajectories: Vec<ScoredTrajectory>,
    #[serde(default)]
    step: usize,
}

/// Holds a line of the output.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    scored: &'a ScoredGroup,
    /// `[trajectory][turn]`: rewards by name, after shaping and before normalisation. Their weighted sums are
    /// the rewards above, where no name is normalised.
    turns: Vec<Vec<Rewards>>,
}

impl Line {
    /// Reads a line. The error names trajectory, turn and reward, as far as they are known.
    fn read(place: &str, text: &str) -> Result<Self> {
        let mut json = serde_json::Deserializer::from_str(text);
        let line: Self = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let within = within(error.path());
            anyhow!("{place}: {within}{}", input::what(error.inner()))
        })?;
        json.end().map_err(|error| anyhow!("{place}: {}", input::what(&error)))?;
        line.check().map_err(|message| anyhow!("{place}: {message}"))?;
        Ok(line)
    }

    /// Checks that each turn has its flag, if there are flags. Trajectories are counted from 1.
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

/// Returns the start of an error at a path of a line: `trajectory 2, turn 1, progress: `. Both are counted
/// from 1.
fn within(path: &Path) -> String {
    let mut unit = "turn";
    let mut parts = Vec::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => parts.push(format!("{unit} {}", index + 1)),
            Segment::Map { key } if key == "trajectories" => unit = "trajectory",
            Segment::Map { key } => {
                unit = "turn";
                parts.extend((key != "turns").then(|| key.clone()));
            }
            _ => {}
        }
    }
    if parts.is_empty() { String::new() } else { parts.join(", ") + ": " }
}

impl Score {
    pub(crate) fn run(self) -> Result<()> {
        let config = load_score(self.config.as_deref(), &self.changes.overlay, &self.changes.set)?;
        let (weights, normalise) = (config.reward.weights.clone(), config.reward.normalise.clone());
        let scorer = config.scorer();
        let mut all = Vec::new();
        let mut lines = Vec::new();
        for (number, text) in input::stdin()?.lines().enumerate().filter(|(_, text)| !text.trim().is_empty())
        {
            lines.push(Line::read(&format!("stdin:{}", number + 1), text)?);
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
            let scored = scorer.score(&groups, step).context("stdin")?;
            for (group, scored) in groups.iter().zip(&scored) {
                output::line(&Answer { scored, turns: group.shaped_turns(&scored.shaped) })?;
            }
            all.extend(groups);
        }
        if let Some(absent) = absent_names(&weights, &normalise, &all) {
            progress::on_stderr().line(&absent);
        }
        Ok(())
    }
}
