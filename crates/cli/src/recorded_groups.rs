//! Reads the groups of recorded rollouts, one task's trajectories together.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use serde::Deserialize;
use turnwise_credit::{Group, ScoredTrajectory};
use turnwise_diagnosis::Task;
use turnwise_trajectory::Trajectory;

use crate::input;

/// Holds a line of a run's rollouts, of `turnwise rollout --out`, or of a hand-written file as `turnwise
/// score` reads it, which has nothing played.
#[derive(Deserialize)]
struct Line {
    group: String,
    trajectories: Vec<Recorded>,
}

#[derive(Deserialize)]
struct Recorded {
    #[serde(flatten)]
    scored: ScoredTrajectory,
    #[serde(default)]
    played: Option<Trajectory>,
}

/// Holds the trajectories of tasks, in the order of their first lines.
#[derive(Default)]
pub(crate) struct Rollouts {
    /// The tasks.
    pub(crate) tasks: Vec<Task>,
    /// `[task][trajectory]`: tokens and texts, if they were recorded and asked for.
    pub(crate) played: Vec<Vec<Option<Trajectory>>>,
    by_name: HashMap<String, usize>,
}

impl Rollouts {
    /// Reads the rollouts of a run directory or a file. `last_steps` limits a run to its last steps. Tokens
    /// and texts are kept if `with_tokens`.
    pub(crate) fn read(path: &Path, last_steps: Option<usize>, with_tokens: bool) -> Result<Self> {
        let mut all = Self::default();
        for file in files(path, last_steps)? {
            let text = input::file(&file)?;
            let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            for (at, line) in lines {
                let place = format!("{}:{}", file.display(), at + 1);
                all.add(input::json(&place, line)?, with_tokens).map_err(|why| anyhow!("{place}: {why}"))?;
            }
        }
        // A task with one trajectory has nothing to compare.
        let kept: Vec<bool> = all.tasks.iter().map(|task| task.group.trajectories.len() > 1).collect();
        let mut keep = kept.iter();
        all.tasks.retain(|_| *keep.next().expect("one flag per task"));
        let mut keep = kept.iter();
        all.played.retain(|_| *keep.next().expect("one flag per task"));
        if all.tasks.is_empty() {
            bail!(
                "{}: no task has two trajectories\n  hint: play several samples of a task, --set eval.samples=32",
                path.display()
            );
        }
        Ok(all)
    }

    fn add(&mut self, line: Line, with_tokens: bool) -> Result<(), String> {
        let next = self.tasks.len();
        let at = *self.by_name.entry(line.group.clone()).or_insert(next);
        if at == next {
            let group = Group { group: line.group, trajectories: Vec::new() };
            self.tasks.push(Task { group, tokens: Vec::new() });
            self.played.push(Vec::new());
        }
        for (number, Recorded { scored, played }) in line.trajectories.into_iter().enumerate() {
            let turns = scored.turns.len();
            let flags = scored.violations.len();
            if flags > 0 && flags != turns {
                return Err(format!(
                    "trajectory {} has {flags} violation flags for {turns} turns",
                    number + 1
                ));
            }
            if let Some(other) = played.as_ref().map(|played| played.turns.len()).filter(|n| *n != turns) {
                return Err(format!("trajectory {} has {turns} turn rewards for {other} turns", number + 1));
            }
            let tokens = played.iter().flat_map(|played| &played.turns).map(|turn| turn.tokens.len());
            self.tasks[at].tokens.push(tokens.collect());
            self.tasks[at].group.trajectories.push(scored);
            self.played[at].push(played.filter(|_| with_tokens));
        }
        Ok(())
    }
}

/// Returns the files of rollouts, in the order of steps.
fn files(path: &Path, last_steps: Option<usize>) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.into()]);
    }
    let folder = path.join("rollouts");
    let none = || {
        anyhow!(
            "{}: no rollouts\n  hint: name the directory of a run that has made a step, or a file that \
             `turnwise rollout --out` wrote",
            folder.display()
        )
    };
    let is_step = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("step_") && name.ends_with(".jsonl")
    };
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(|_| none())? {
        files.push(entry.map_err(|_| none())?.path());
    }
    files.retain(is_step);
    files.sort();
    if files.is_empty() {
        return Err(none());
    }
    let first = files.len().saturating_sub(last_steps.unwrap_or(usize::MAX));
    Ok(files.split_off(first))
}
