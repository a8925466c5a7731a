//! Keeps a line of JSON per run, small enough to be committed. Every table and figure is made from it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cell::Cell;
use crate::diagnosis;
use crate::fields::{number, read, short};
use crate::held_out::{Evaluated, HeldOut};
use crate::moved::Moved;

/// A finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) family: String,
    pub(crate) method: String,
    pub(crate) seed: u64,
    /// Learning rate. 0 for a cold start.
    pub(crate) rate: f64,
    /// The commit of the directory that the driver ran in.
    pub(crate) commit: String,
    /// SHA-256 of the program that made it, its first 16 digits. Empty in older records.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) program: String,
    /// For a cold start: the shares of right answers of those that its rule refused before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) refused: Vec<f64>,
    pub(crate) held_out: HeldOut,
    /// From the cold start to the last weights. None in older records and for cold starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) moved: Option<Moved>,
    /// Metrics of the rollouts by update. Empty for a cold start. Records of the first seeds of `main`, and
    /// older ones, lack `dropped` and the keys of [`diagnosis`].
    /// [`diagnosis`] adds.
    pub(crate) curve: Curve,
    /// Executions that a limit or a fault stopped, and rollouts that were lost, in training and evaluation.
    /// On a busy machine the clock may be the cause, so such a run is made again. Not counted in older
    /// records.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) stopped: u64,
    /// Wall time of all updates.
    pub(crate) seconds: Seconds,
}

/// A value per update.
pub(crate) type Curve = BTreeMap<String, Vec<f64>>;

/// Keys that are kept of `metrics.jsonl`. Every update must have all of them.
const KEPT: [&str; 10] = [
    "accuracy",
    "reward",
    "turns",
    "violations",
    "groups_all_right",
    "groups_all_wrong",
    "dropped",
    "dummy_first_call",
    "entropy",
    "grad_norm",
];

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Counts in `metrics.jsonl` of executions and rollouts that didn't end by themselves.
const STOPPED: [&str; 5] =
    ["tool_timeouts", "tool_out_of_memory", "tool_killed", "executor_faults", "rollouts_lost"];

/// Wall time, summed over updates.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seconds {
    pub(crate) rollout: f64,
    /// From rewards to advantages: the part in which methods differ.
    pub(crate) score: f64,
    pub(crate) train: f64,
}

impl Seconds {
    pub(crate) fn total(self) -> f64 {
        self.rollout + self.score + self.train
    }
}

impl Record {
    /// Returns whether the record is of this run.
    pub(crate) fn is_of(&self, cell: &Cell) -> bool {
        (&self.family, &self.method, self.seed, self.rate)
            == (&cell.family, &cell.method, cell.seed, cell.rate)
    }

    /// Reads a finished run and joins it with its evaluation. `run` is none for a cold start.
    pub(crate) fn harvest(cell: &Cell, run: Option<&Path>, evaluation: Evaluated) -> Result<Self> {
        let (mut curve, mut seconds, mut commit) = (Curve::new(), Seconds::default(), String::new());
        let Evaluated { held_out, mut stopped } = evaluation;
        if let Some(run) = run {
            for (update, line) in lines(&run.join("metrics.jsonl"))?.iter().enumerate() {
                for key in KEPT {
                    curve.entry(key.into()).or_default().push(short(number(line, key)?));
                }
                stopped += STOPPED.iter().filter_map(|key| line[key].as_u64()).sum::<u64>();
                let rollouts = run.join(format!("rollouts/step_{update:05}.jsonl"));
                for (key, value) in diagnosis::of_update(&rollouts)? {
                    curve.entry(key.into()).or_default().push(short(value));
                }
            }
            for line in lines(&run.join("times.jsonl"))? {
                seconds.rollout += number(&line, "time_rollout")?;
                seconds.score += number(&line, "time_score")?;
                seconds.train += number(&line, "time_train")?;
            }
            let environment = read(&run.join("env.json"))?;
            let environment: Value = serde_json::from_str(&environment).context("env.json")?;
            commit = environment["git_commit"].as_str().unwrap_or_default().chars().take(12).collect();
        }
        Ok(Self {
            family: cell.family.clone(),
            method: cell.method.clone(),
            seed: cell.seed,
            rate: cell.rate,
            commit,
            program: String::new(),
            refused: Vec::new(),
            held_out,
            moved: None,
            curve,
            stopped,
            seconds,
        })
    }
}

fn lines(path: &Path) -> Result<Vec<Value>> {
    let text = read(path)?;
    let parse = |line: &str| serde_json::from_str(line).with_context(|| path.display().to_string());
    text.lines().map(parse).collect()
}

/// Returns the records of an experiment, or none if there is no file yet. The torn last line of a driver that
/// was killed is left out.
pub(crate) fn load(path: &Path) -> Result<Vec<Record>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = read(path)?;
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line).with_context(|| format!("{}:{}", path.display(), number + 1))
    };
    whole.lines().enumerate().map(parse).collect()
}

/// Adds a record to a file. The torn line of a killed driver is cut first.
pub(crate) fn append(path: &Path, record: &Record) -> Result<()> {
    let text = if path.exists() { read(path)? } else { String::new() };
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let open = || -> std::io::Result<()> {
        std::fs::create_dir_all(path.parent().unwrap_or(path))?;
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        file.set_len(whole as u64)?;
        let line = serde_json::to_string(record).expect("a record is JSON") + "\n";
        file.write_all(line.as_bytes())?;
        file.sync_all()
    };
    open().with_context(|| format!("{}: cannot write", path.display()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A record whose policy is right at this share, from a cold start at 0.3.
    pub(crate) fn record(method: &str, seed: u64, accuracy: f64) -> Record {
        let path = |end: f64| (0..10).map(|i| 0.3 + (end - 0.3) * f64::from(i) / 9.0).collect::<Vec<_>>();
        let mut curve = Curve::from([("accuracy".to_string(), path(accuracy))]);
        for key in &KEPT[1..] {
            curve.insert((*key).into(), vec![0.1; 10]);
        }
        Record {
            family: "arithmetic".into(),
            method: method.into(),
            seed,
            rate: 1e-4,
            commit: "abc".into(),
            program: String::new(),
            refused: Vec::new(),
            moved: None,
            held_out: HeldOut { accuracy, turns: 3.0, right: "08".into(), ..HeldOut::default() },
            curve,
            stopped: 0,
            seconds: Seconds { rollout: 6.0, score: 0.1, train: 3.9 },
        }
    }

    #[test]
    fn a_finished_run_becomes_a_line_and_a_torn_line_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let metrics = |accuracy: f64| {
            let mut line: serde_json::Map<String, Value> =
                KEPT.map(|key| (key.into(), 0.5.into())).into_iter().collect();
            line["accuracy"] = accuracy.into();
            line.insert("tool_timeouts".into(), 2.into());
            serde_json::to_string(&line).unwrap()
        };
        write("metrics.jsonl", &format!("{}\n{}\n", metrics(0.25), metrics(0.333_333)));
        std::fs::create_dir(folder.path().join("rollouts")).unwrap();
        write("rollouts/step_00000.jsonl", "");
        write("rollouts/step_00001.jsonl", "");
        write("times.jsonl", "{\"time_rollout\": 1.5, \"time_score\": 0.25, \"time_train\": 2}\n");
        write("env.json", "{\"git_commit\": \"0123456789abcdef\"}");
        let cell = Cell { family: "f".into(), method: "m".into(), seed: 3, rate: 1e-4 };
        let harvest = || Record::harvest(&cell, Some(folder.path()), Evaluated::default());
        let found = harvest().unwrap();
        assert!(found.is_of(&cell) && found.commit == "0123456789ab");
        assert_eq!(found.curve["accuracy"], [0.25, 0.3333]);
        assert_eq!(found.curve["weight"], [0.0, 0.0]);
        assert_eq!((found.seconds.total(), found.stopped), (3.75, 4));
        write("metrics.jsonl", "{\"accuracy\": null}\n");
        let error = harvest().unwrap_err();
        assert!(error.to_string().contains("accuracy is no number: null"), "{error:#}");
        let data = folder.path().join("data.jsonl");
        append(&data, &found).unwrap();
        let torn = std::fs::read_to_string(&data).unwrap() + "{\"family\": \"f";
        std::fs::write(&data, torn).unwrap();
        assert_eq!(load(&data).unwrap(), std::slice::from_ref(&found));
        append(&data, &found).unwrap();
        assert_eq!(load(&data).unwrap().len(), 2);
    }
}
