//! A small run, again and again in one folder, and what of it must be the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::binary::{BINARY, Ran, arg, ran, root};

/// A small run with real tool calls: two steps between checkpoints, five in all.
const SMALL: [&str; 14] = [
    "train.steps=5",
    "train.checkpoint_every=2",
    "train.eval_every=2",
    "rollout.groups=2",
    "rollout.samples=2",
    "rollout.max_turns=2",
    "rollout.executor.python.workers=2",
    "eval.tasks=2",
    "env.arithmetic.train_tasks=16",
    "env.arithmetic.held_out_tasks=4",
    "shaping.alpha=0.5",
    "loss.clip.beta=0.01",
    "optimizer.minibatches=2",
    "train.seed=3",
];

/// Runs in one folder, so that their directories can be compared.
pub(crate) struct Runs {
    folder: TempDir,
}

impl Runs {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, name: &str, more: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(["train", "configs/tiny.toml", "--run", arg(&self.path(name))]).current_dir(root());
        for set in SMALL {
            command.args(["--set", set]);
        }
        command.args(more);
        command
    }

    pub(crate) fn train(&self, name: &str, more: &[&str]) -> Ran {
        ran(&mut self.command(name, more), "")
    }

    /// Starts a process whose end nobody has to wait for. Its stderr goes to a file beside the run.
    pub(crate) fn start(&self, name: &str, more: &[&str]) -> Child {
        let mut command = self.command(name, more);
        let stderr = std::fs::File::create(stderr(&self.path(name))).expect("a file beside the run");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        command.spawn().expect("the binary starts")
    }

    #[track_caller]
    pub(crate) fn finishes(&self, name: &str, more: &[&str]) -> Ran {
        let ran = self.train(name, more);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran
    }
}

/// Returns the file that holds the stderr of the process that runs there.
pub(crate) fn stderr(run: &Path) -> PathBuf {
    run.with_extension("stderr")
}

const OF_ITS_OWN: [&str; 6] = ["times.jsonl", "log.txt", "curve.svg", "lock", ".bpk", "manifest.json"];

/// Every file of a run that doesn't depend on the clock or on its own path, by name. Burn writes the
/// optimizer's moments in any order; that they are right shows in the weights after them.
pub(crate) fn record(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![run.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of the run") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(run).expect("inside the run").display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if !OF_ITS_OWN.iter().any(|other| name.ends_with(other)) {
                let bytes = std::fs::read(&path).expect("a file of the run");
                files.insert(name.clone(), if name == "env.json" { without_clock(&bytes) } else { bytes });
            }
        }
    }
    files
}

/// The record of what a run ran with, but for the moment at which it began.
fn without_clock(environment: &[u8]) -> Vec<u8> {
    let mut record: serde_json::Value = serde_json::from_slice(environment).expect("env.json is JSON");
    assert!(record.as_object_mut().expect("an object").remove("began").is_some(), "{record}");
    record.to_string().into_bytes()
}

#[track_caller]
pub(crate) fn same(run: &Path, reference: &Path) {
    let (run, reference) = (record(run), record(reference));
    let names = |record: &BTreeMap<String, Vec<u8>>| record.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&run), names(&reference));
    for (name, bytes) in &run {
        assert!(*bytes == reference[name], "{name} differs");
    }
}

/// Counts the steps in `metrics.jsonl` as it lies there, whatever happens to the process.
pub(crate) fn steps(run: &Path) -> usize {
    std::fs::read_to_string(run.join("metrics.jsonl")).map_or(0, |text| text.lines().count())
}

/// Waits until something is true.
#[track_caller]
pub(crate) fn wait(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < Duration::from_mins(1), "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
