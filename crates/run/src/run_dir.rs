//! Writes a run directory with all files of one run.

mod rewind;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use turnwise_files::own;

use crate::environment::RunEnvironment;
use crate::error::RunDirError;
use crate::json_lines::JsonLines;
use crate::lock::{LOCK, Lock, lock};
use crate::metrics::StepMetrics;
use crate::times::StepTimes;
use crate::whole_folder::{self, sync_folder};

/// Names the file of the resolved config.
pub const CONFIG: &str = "config.toml";
const ENVIRONMENT: &str = "env.json";
const METRICS: &str = "metrics.jsonl";
const TIMES: &str = "times.jsonl";

/// Begins the name of a file of groups that a step learned from.
pub(crate) const PLAYED: &str = "step";
/// Begins the name of a file of groups that other ones replaced.
pub const REPLACED: &str = "replaced";

const FOLDERS: [&str; 2] = ["rollouts", "checkpoints"];

/// Holds a run directory and its lock against other processes. The lock ends with the value, or with the
/// process.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    _lock: Lock,
}

impl RunDir {
    /// Creates the directory of a new run with its `config.toml` and `env.json`. Nothing is overwritten.
    pub fn create(path: &Path, config: &str, environment: &RunEnvironment) -> Result<Self, RunDirError> {
        refuse_used(path)?;
        let at = |path: &Path| {
            let path = path.to_path_buf();
            move |source| RunDirError::Write { path, source }
        };
        std::fs::create_dir_all(path).map_err(at(path))?;
        refuse_links(path)?;
        let run = Self { path: path.into(), _lock: lock(path)? };
        // Another process may have created its run here before this one had the lock.
        if path.join(CONFIG).exists() {
            return Err(RunDirError::Exists { path: path.into() });
        }
        for folder in FOLDERS {
            let folder = path.join(folder);
            std::fs::create_dir_all(&folder).map_err(at(&folder))?;
        }
        run.write_file(ENVIRONMENT, environment.text().as_bytes())?;
        // The config comes last, because a directory with a config counts as a run.
        run.write_file(CONFIG, config.as_bytes())?;
        Ok(run)
    }

    /// Opens the run in a directory, if there is one.
    pub fn open(path: &Path) -> Result<Option<Self>, RunDirError> {
        if !is_run(path) {
            return Ok(None);
        }
        refuse_links(path)?;
        Ok(Some(Self { path: path.into(), _lock: lock(path)? }))
    }

    /// Replaces `config.toml` from the given step on, and keeps the old one under another name.
    pub fn replace_config(&self, config: &str, step: usize) -> Result<(), RunDirError> {
        self.replace(CONFIG, config, step)
    }

    /// Replaces `env.json` from the given step on, and keeps the old one under another name.
    pub fn replace_environment(&self, environment: &RunEnvironment, step: usize) -> Result<(), RunDirError> {
        self.replace(ENVIRONMENT, &environment.text(), step)
    }

    fn replace(&self, name: &str, text: &str, step: usize) -> Result<(), RunDirError> {
        let before = own::read(&self.path.join(name), turnwise_files::SETTINGS).unwrap_or_default();
        if before == text.as_bytes() {
            return Ok(());
        }
        if !before.is_empty() {
            self.write_file(&until(name, step), &before)?;
        }
        self.write_file(name, text.as_bytes()).map(|_| ())
    }

    /// Renames a file to say that it held until the given step. Does nothing if it doesn't exist.
    pub fn set_aside(&self, name: &str, step: usize) -> Result<(), RunDirError> {
        let path = self.path.join(name);
        match std::fs::rename(&path, self.path.join(until(name, step))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(RunDirError::Write { path, source }),
            Ok(()) => sync_folder(&self.path).map_err(|source| RunDirError::Write { path, source }),
        }
    }

    /// Returns the start of the run in seconds since 1970, if it is recorded.
    pub fn began(&self) -> Option<i64> {
        began(&self.path)
    }

    /// Returns the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the folder of checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Appends a line to `metrics.jsonl` and one to `times.jsonl`.
    ///
    /// Two files keep times apart: everything else is the same for two runs of a seed on a CPU backend.
    pub fn append(&self, metrics: &StepMetrics, times: &StepTimes) -> Result<(), RunDirError> {
        self.append_line(TIMES, times)?;
        self.append_line(METRICS, metrics)
    }

    fn append_line(&self, name: &str, record: &impl Serialize) -> Result<(), RunDirError> {
        let path = self.path.join(name);
        let append = || JsonLines::open(&path)?.append(record);
        append().map_err(|source| RunDirError::Write { path: path.clone(), source })
    }

    /// Writes `rollouts/step_NNNNN.jsonl`, one text a line.
    pub fn write_rollouts(&self, step: usize, lines: &[String]) -> Result<PathBuf, RunDirError> {
        self.write_lines(PLAYED, step, lines)
    }

    /// Writes `rollouts/replaced_NNNNN.jsonl`, one text a line; no file for no lines.
    pub fn write_replaced(&self, step: usize, lines: &[String]) -> Result<(), RunDirError> {
        if lines.is_empty() { Ok(()) } else { self.write_lines(REPLACED, step, lines).map(|_| ()) }
    }

    fn write_lines(&self, kind: &str, step: usize, lines: &[String]) -> Result<PathBuf, RunDirError> {
        let mut text = lines.join("\n");
        text.push('\n');
        self.write_file(&format!("rollouts/{}", rollouts_name(kind, step)), text.as_bytes())
    }

    /// Writes `checkpoints/step_NNNNN/`.
    ///
    /// `fill` gets an empty folder under another name, which is renamed when it is complete and on disk.
    pub fn write_checkpoint<E: From<RunDirError>>(
        &self,
        step: usize,
        fill: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        let path = self.checkpoints().join(format!("step_{step:05}"));
        whole_folder::write(&path, fill)?;
        Ok(path)
    }

    /// Writes a file of the directory under another name, flushes and renames it.
    pub fn write_file(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, RunDirError> {
        let path = self.path.join(name);
        let aside = path.with_extension("partial");
        let write = || {
            let mut file = own::create(&aside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&aside, &path)?;
            sync_folder(path.parent().unwrap_or(&self.path))
        };
        match write() {
            Ok(()) => Ok(path),
            Err(source) => Err(RunDirError::Write { path, source }),
        }
    }
}

/// Returns the name of a step's file of rollouts.
pub(crate) fn rollouts_name(kind: &str, step: usize) -> String {
    format!("{kind}_{step:05}.jsonl")
}

/// Returns the new name of a replaced record: `config.until_step_00012.toml`.
fn until(name: &str, step: usize) -> String {
    let (stem, extension) = name.split_once('.').expect("records have an extension");
    format!("{stem}.until_step_{step:05}.{extension}")
}

/// Returns the start of the run in a directory, if it is recorded.
pub(crate) fn began(path: &Path) -> Option<i64> {
    let record = own::read(&path.join(ENVIRONMENT), turnwise_files::SETTINGS).ok()?;
    let record: serde_json::Value = serde_json::from_slice(&record).ok()?;
    record["began"].as_i64()
}

/// Returns whether a directory holds a run.
pub fn is_run(path: &Path) -> bool {
    path.join(CONFIG).exists() && path.join(ENVIRONMENT).exists()
}

/// Fails if a folder of the run is a link: the files behind it belong to something else.
fn refuse_links(path: &Path) -> Result<(), RunDirError> {
    for name in FOLDERS.into_iter().chain(["tensorboard"]) {
        let path = path.join(name);
        own::refuse_link(&path).map_err(|source| RunDirError::Write { path, source })?;
    }
    Ok(())
}

/// Fails if the directory holds anything but the traces of a start that was killed before its config.
fn refuse_used(path: &Path) -> Result<(), RunDirError> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(RunDirError::Write { path: path.into(), source }),
    };
    let names: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
    if names.iter().any(|name| name == CONFIG) {
        return Err(RunDirError::Exists { path: path.into() });
    }
    let empty =
        |name: &str| std::fs::read_dir(path.join(name)).is_ok_and(|mut inside| inside.next().is_none());
    let of_a_start = |name: &str| match name {
        LOCK | ENVIRONMENT | "log.txt" | "env.partial" | "config.partial" => true,
        folder => FOLDERS.contains(&folder) && empty(folder),
    };
    if names.iter().all(|name| name.to_str().is_some_and(of_a_start)) {
        Ok(())
    } else {
        Err(RunDirError::Foreign { path: path.into() })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn environment() -> RunEnvironment {
        RunEnvironment {
            version: "0.1.0".into(),
            device: "flex".into(),
            executor: serde_json::json!({"backend": "python", "isolation": ["seccomp"]}),
            program_sha256: None,
            git_commit: None,
            began: 1_735_603_199,
        }
    }

    pub(crate) fn create(path: &Path) -> Result<RunDir, RunDirError> {
        RunDir::create(path, "model = \"m\"\n", &environment())
    }

    #[test]
    fn a_new_run_has_its_records_and_a_second_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs/a");
        let run = create(&path).unwrap();
        assert_eq!(std::fs::read_to_string(path.join(CONFIG)).unwrap(), "model = \"m\"\n");
        let env = std::fs::read_to_string(path.join("env.json")).unwrap();
        assert!(env.contains("\"device\": \"flex\"") && env.contains("seccomp"), "{env}");
        assert!(matches!(RunDir::open(&path), Err(RunDirError::InUse { .. })), "its process is still there");
        drop(run);
        assert!(RunDir::open(&path).unwrap().is_some());
        assert!(RunDir::open(&folder.path().join("b")).unwrap().is_none());
        let error = RunDir::create(&path, "other", &environment()).unwrap_err();
        assert!(error.to_string().contains("exists already, nothing is written over\n  hint: "), "{error}");
        assert_eq!(
            std::fs::read_to_string(path.join(CONFIG)).unwrap(),
            "model = \"m\"\n",
            "nothing is written over"
        );
    }

    #[test]
    fn two_processes_that_start_together_do_not_share_a_run() {
        let folder = tempfile::tempdir().unwrap();
        // The other process has its lock, and no config yet.
        let lock = std::fs::File::create(folder.path().join(LOCK)).unwrap();
        lock.try_lock().unwrap();
        assert!(matches!(create(folder.path()), Err(RunDirError::InUse { .. })));
        drop(lock);
        std::fs::create_dir(folder.path().join("rollouts")).unwrap();
        std::fs::write(folder.path().join("env.json"), "{").unwrap();
        assert!(create(folder.path()).is_ok(), "a start that died leaves nothing in the way");
    }

    #[test]
    fn a_folder_with_other_things_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("thesis.tex"), "x").unwrap();
        let error = create(folder.path()).unwrap_err();
        assert!(error.to_string().contains("not empty"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "not even a lock");
        let file = folder.path().join("thesis.tex");
        assert!(matches!(create(&file), Err(RunDirError::Write { .. })), "a file is no folder");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_inside_the_directory_costs_nobody_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("run"), folder.path().join("other"));
        drop(create(&path).unwrap());
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("step_00009.jsonl"), "kept").unwrap();
        for name in [LOCK, "rollouts", "checkpoints", "tensorboard"] {
            let (link, saved) = (path.join(name), path.join("saved"));
            let was_there = std::fs::rename(&link, &saved).is_ok();
            std::os::unix::fs::symlink(
                if name == LOCK { other.join("step_00009.jsonl") } else { other.clone() },
                &link,
            )
            .unwrap();
            let error = RunDir::open(&path).unwrap_err().to_string();
            let line = format!("{name}: cannot write: is a symbolic link");
            assert!(error.contains(&line) && error.contains("\n  hint: "), "{error}");
            std::fs::remove_file(&link).unwrap();
            if was_there {
                std::fs::rename(&saved, &link).unwrap();
            }
        }
        let run = RunDir::open(&path).unwrap().unwrap();
        for name in [METRICS, TIMES, "env.partial"] {
            let link = path.join(name);
            let _ = std::fs::remove_file(&link);
            std::os::unix::fs::symlink(other.join("step_00009.jsonl"), &link).unwrap();
            let written = run
                .append(&metrics(0), &times(0))
                .and_then(|()| run.write_file("env.json", b"x").map(|_| ()));
            assert!(written.is_err(), "{name}");
            std::fs::remove_file(&link).unwrap();
        }
        assert_eq!(std::fs::read_to_string(other.join("step_00009.jsonl")).unwrap(), "kept");
    }

    #[test]
    fn rollouts_metrics_and_checkpoints_have_their_places() {
        let folder = tempfile::tempdir().unwrap();
        let run = create(&folder.path().join("a")).unwrap();
        run.write_rollouts(3, &["{}".into(), "[]".into()]).unwrap();
        run.append(&metrics(3), &times(4)).unwrap();
        let checkpoint = run
            .write_checkpoint(3, |folder| {
                std::fs::write(folder.join("w"), "1").map_err(|_| unreachable(folder))
            })
            .unwrap();
        assert_eq!(
            std::fs::read_to_string(run.path().join("rollouts/step_00003.jsonl")).unwrap(),
            "{}\n[]\n"
        );
        let line = std::fs::read_to_string(run.path().join("metrics.jsonl")).unwrap();
        assert!(line.starts_with("{\"step\":3,") && line.ends_with("}\n"), "{line}");
        assert_eq!(std::fs::read_to_string(checkpoint.join("w")).unwrap(), "1");
        let kept = run.write_checkpoint(4, |folder| Err(unreachable(folder)));
        assert!(kept.is_err() && !run.path().join("checkpoints/step_00004").exists());
    }

    #[test]
    fn the_beginning_of_a_run_is_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let run = create(&folder.path().join("a")).unwrap();
        assert_eq!(run.began(), Some(1_735_603_199));
        std::fs::write(run.path().join(ENVIRONMENT), "{\"version\": \"0.1.0\"}").unwrap();
        assert_eq!(run.began(), None, "by an older version");
    }

    #[test]
    fn a_replaced_config_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let run = create(&folder.path().join("a")).unwrap();
        run.replace_config("model = \"m\"\n", 5).unwrap();
        assert!(!run.path().join("config.until_step_00005.toml").exists(), "nothing changed");
        run.replace_config("new", 5).unwrap();
        assert_eq!(std::fs::read_to_string(run.path().join(CONFIG)).unwrap(), "new");
        let old = std::fs::read_to_string(run.path().join("config.until_step_00005.toml")).unwrap();
        assert_eq!(old, "model = \"m\"\n");
    }

    pub(crate) fn metrics(step: usize) -> StepMetrics {
        StepMetrics { step, ..StepMetrics::default() }
    }

    pub(crate) fn times(step: usize) -> StepTimes {
        StepTimes { step, ..StepTimes::default() }
    }

    fn unreachable(path: &Path) -> RunDirError {
        RunDirError::Exists { path: path.into() }
    }
}
