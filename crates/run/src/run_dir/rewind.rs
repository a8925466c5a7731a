//! Rewinds a run directory to an earlier step.

use std::io;
use std::path::Path;

use serde::de::IgnoredAny;

use super::{FOLDERS, METRICS, PLAYED, REPLACED, RunDir, TIMES};
use crate::error::RunDirError;
use crate::json_lines;
use crate::metrics::StepMetrics;

impl RunDir {
    /// Rewinds the directory to `steps` steps, and returns the remaining lines of `metrics.jsonl`.
    ///
    /// Later records and the remains of interrupted writes are removed.
    pub fn rewind(&self, steps: usize) -> Result<Vec<StepMetrics>, RunDirError> {
        let metrics = self.path.join(METRICS);
        let at = |path: &Path| {
            let path = path.to_path_buf();
            move |source| RunDirError::Write { path, source }
        };
        let whole = json_lines::read::<StepMetrics>(&metrics, steps).map_err(at(&metrics))?.len();
        if whole < steps {
            let message = format!(
                "line {} is missing or damaged, and the newest checkpoint comes after step {steps}\n  \
                 hint: put the file back, or name another folder",
                whole + 1
            );
            return Err(RunDirError::Broken { path: metrics, message });
        }
        let records = json_lines::keep(&metrics, steps).map_err(at(&metrics))?;
        let times = self.path.join(TIMES);
        // Older versions had other keys, which nothing reads: any object with its step stays.
        json_lines::keep::<IgnoredAny>(&times, steps).map_err(at(&times))?;
        for folder in FOLDERS {
            let folder = self.path.join(folder);
            std::fs::create_dir_all(&folder).map_err(at(&folder))?;
            remove_leftovers(&folder).map_err(at(&folder))?;
        }
        let rollouts = self.path.join("rollouts");
        let later = |name: &str| rollout_step(name).is_some_and(|step| step >= steps);
        remove_files(&rollouts, later).map_err(at(&rollouts))?;
        Ok(records)
    }
}

/// Returns the step of a file of rollouts.
fn rollout_step(name: &str) -> Option<usize> {
    let (kind, step) = name.strip_suffix(".jsonl")?.rsplit_once('_')?;
    [PLAYED, REPLACED].contains(&kind).then(|| step.parse().ok())?
}

fn remove_files(folder: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&wanted) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Removes files and folders that were being written or removed when the process ended.
fn remove_leftovers(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "partial") {
            if path.is_dir() {
                std::fs::remove_dir_all(&path)?;
            } else {
                std::fs::remove_file(&path)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{create, metrics, times};
    use super::*;

    #[test]
    fn a_rewound_run_is_what_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let run = create(&folder.path().join("a")).unwrap();
        for step in 0..3 {
            run.write_rollouts(step, &["{}".into()]).unwrap();
            let replaced = vec!["{}".to_string(); step];
            run.write_replaced(step, &replaced).unwrap();
            run.append(&metrics(step), &times(step)).unwrap();
        }
        let path = |name: &str| run.path().join(name);
        std::fs::create_dir(path("checkpoints/.step_00003.partial")).unwrap();
        std::fs::write(path("rollouts/step_00003.partial"), "{").unwrap();
        let kept: Vec<usize> = run.rewind(2).unwrap().iter().map(|metrics| metrics.step).collect();
        assert_eq!(kept, [0, 1]);
        let names = |folder: &str| {
            let names = std::fs::read_dir(path(folder)).unwrap().map(|entry| entry.unwrap().file_name());
            let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
            names.sort();
            names
        };
        let kept = ["replaced_00001.jsonl", "step_00000.jsonl", "step_00001.jsonl"];
        assert_eq!(names("rollouts"), kept);
        assert_eq!(names("checkpoints"), [""; 0]);
        for name in [METRICS, TIMES] {
            let text = std::fs::read_to_string(path(name)).unwrap();
            let steps: Vec<&str> = text.lines().map(|line| line.split(',').next().unwrap()).collect();
            assert_eq!(steps, ["{\"step\":0", "{\"step\":1"]);
        }
        let error = run.rewind(3).unwrap_err().to_string();
        assert!(error.contains("metrics.jsonl: line 3 is missing") && error.contains("hint: "), "{error}");
    }
}
