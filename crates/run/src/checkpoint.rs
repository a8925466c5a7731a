//! Checkpoints: a Hugging Face folder, the optimizer's moments, and the position of the run.
//!
//! `trainer/training_loop.rs` writes them, and docs/runs.md lists their files.
//! A run resumes from one as if it had never stopped. Everything else follows from the config and the step.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use turnwise_files::{SETTINGS, own};

use crate::error::RunDirError;
use crate::evaluation::Evaluation;
use crate::manifest;

/// Names the file of the optimizer's moments.
pub const OPTIMIZER: &str = "optimizer.bpk";
/// Names the folder of the adapter, if the run trains one.
pub const ADAPTER: &str = "adapter";
/// Names the file of the draw's state, if tasks depend on more than the config and the step.
pub const TASKS: &str = "tasks.json";
/// Names the file of the next step's rollouts, if they were played before the checkpoint's step ended.
pub const AHEAD: &str = "ahead.json";
const STATE: &str = "state.json";

/// Holds the position of a run at a checkpoint: `state.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Steps done. The next step's tasks and random numbers follow from it and the seed.
    pub step: usize,
    /// Optimizer updates done.
    pub updates: usize,
    /// Held-out evaluation before the first step.
    pub before: Evaluation,
    /// Held-out accuracy after this step, if it was measured.
    pub held_out_accuracy: Option<f64>,
    /// SHA-256 of the environment's tasks, which a resumed run must have too.
    pub tasks: String,
}

impl State {
    /// Writes the state and the manifest into a folder that holds everything else.
    pub fn seal(&self, folder: &Path) -> Result<(), RunDirError> {
        let path = folder.join(STATE);
        let text = serde_json::to_string_pretty(self).expect("a record of plain values") + "\n";
        own::write(&path, text.as_bytes()).map_err(|source| RunDirError::Write { path, source })?;
        manifest::write(folder)
            .map_err(|source| RunDirError::Write { path: folder.join(manifest::NAME), source })
    }
}

/// Names a whole checkpoint and its state.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Its folder.
    pub path: PathBuf,
    /// The run's position.
    pub state: State,
}

/// Names a checkpoint that can't be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Damaged {
    /// Its folder.
    pub path: PathBuf,
    /// The damage, in half a sentence.
    pub reason: String,
}

impl Checkpoint {
    /// Opens a folder whose files all match its manifest.
    pub fn open(path: &Path) -> Result<Self, Damaged> {
        let damaged = |reason| Damaged { path: path.into(), reason };
        manifest::verify(path).map_err(damaged)?;
        let state =
            own::read(&path.join(STATE), SETTINGS).map_err(|error| damaged(format!("{STATE}: {error}")))?;
        let state = serde_json::from_slice(&state)
            .map_err(|error| damaged(format!("{STATE}: {}", turnwise_json::words(&error))))?;
        Ok(Self { path: path.into(), state })
    }

    /// Returns the state of a checkpoint without checking its other files.
    pub(crate) fn state(path: &Path) -> Option<State> {
        serde_json::from_slice(&own::read(&path.join(STATE), SETTINGS).ok()?).ok()
    }
}

/// Lists steps and folders of the checkpoints in a folder, oldest first, whole or not.
pub fn list(folder: &Path) -> Vec<(usize, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let step = entry.file_name().to_str()?.strip_prefix("step_")?.parse().ok()?;
            Some((step, entry.path()))
        })
        .collect();
    found.sort();
    found
}

/// Finds the newest whole checkpoint of a folder, and the damaged ones that are newer.
pub fn newest(folder: &Path) -> (Option<Checkpoint>, Vec<Damaged>) {
    let mut damaged = Vec::new();
    for (_, path) in list(folder).into_iter().rev() {
        match Checkpoint::open(&path) {
            Ok(checkpoint) => return (Some(checkpoint), damaged),
            Err(found) => damaged.push(found),
        }
    }
    (None, damaged)
}

impl Damaged {
    /// Renames the folder to a name that no step has (`step_00030.damaged`), and returns the new path.
    ///
    /// The step can then be written again, and nothing is lost.
    pub fn set_aside(&self) -> Result<PathBuf, RunDirError> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let numbered = (2..).map(|number| format!("{name}.damaged-{number}"));
        let mut names = std::iter::once(format!("{name}.damaged")).chain(numbered);
        let free = names.find_map(|name| {
            let path = self.path.with_file_name(name);
            (!path.exists()).then_some(path)
        });
        let path = free.expect("there is always another number");
        match std::fs::rename(&self.path, &path) {
            Ok(()) => Ok(path),
            Err(source) => Err(RunDirError::Write { path: self.path.clone(), source }),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn state(step: usize) -> State {
        State {
            step,
            updates: step,
            before: Evaluation::default(),
            held_out_accuracy: None,
            tasks: String::new(),
        }
    }

    pub(crate) fn write(folder: &Path, state: &State) -> PathBuf {
        let path = folder.join(format!("step_{:05}", state.step));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("model.safetensors"), [state.step as u8; 100]).unwrap();
        state.seal(&path).unwrap();
        path
    }

    #[test]
    fn the_newest_whole_one_is_found_and_damaged_ones_are_named() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(newest(folder.path()), (None, vec![]));
        assert_eq!(newest(&folder.path().join("none")), (None, vec![]));
        for step in [2, 4, 100_000] {
            write(folder.path(), &state(step));
        }
        assert_eq!(newest(folder.path()).0.unwrap().state, state(100_000), "steps are numbers, not names");
        std::fs::write(folder.path().join("step_100000/model.safetensors"), "cut").unwrap();
        std::fs::remove_file(folder.path().join("step_00004/state.json")).unwrap();
        let (whole, damaged) = newest(folder.path());
        assert_eq!(whole.unwrap().state.step, 2);
        let reasons: Vec<&str> = damaged.iter().map(|damaged| damaged.reason.as_str()).collect();
        assert_eq!(reasons[0], "model.safetensors has 3 bytes of 100");
        assert!(reasons[1].starts_with("state.json: No such file"), "{reasons:?}");
    }

    #[test]
    fn what_is_damaged_is_kept_under_another_name() {
        let folder = tempfile::tempdir().unwrap();
        for expect in ["step_00004.damaged", "step_00004.damaged-2"] {
            let path = write(folder.path(), &state(4));
            let aside = Damaged { path: path.clone(), reason: String::new() }.set_aside().unwrap();
            assert_eq!(aside, folder.path().join(expect));
            assert!(!path.exists() && aside.join("model.safetensors").exists());
        }
        assert_eq!(list(folder.path()), [], "no step has that name");
    }
}
