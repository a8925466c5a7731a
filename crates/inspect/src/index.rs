//! Indexes every rollout of a run: its position on disk, and its columns in a list. Each file is read once,
//! by one thread per core. An entry is small: a list of 100,000 fits into a few megabytes.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Serialize, Serializer};
use turnwise_json::words;
use turnwise_run::{GroupRecord, REPLACED, RecordError};
use turnwise_trajectory::{OutputStatus, Stop};

use crate::conversation::{group_line, without_tokens};
use crate::error::InspectError;
use crate::outline::{CallOutline, GroupOutline, TrajectoryOutline, TurnOutline};

/// Reports a line that is no group: torn, or of another program. It is left out of the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bad {
    /// The file.
    #[serde(serialize_with = "displayed")]
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The fault.
    pub message: String,
}

/// Writes a path as text. Invalid UTF-8 becomes replacement characters.
fn displayed<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// Holds one rollout of a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Position in [`Index::rows`].
    pub id: u32,
    /// Position of its group in [`Index`].
    pub group: u32,
    /// Position in its group.
    pub at: u32,
    /// The step that played it, from 0.
    pub step: u32,
    /// Name of its group, usually the task's id.
    #[serde(serialize_with = "text")]
    pub task: Arc<str>,
    /// Difficulty of the task.
    pub level: u32,
    /// Index of the sample.
    pub sample: u32,
    /// Whether the final answer is right.
    pub correct: bool,
    /// The reason for its end.
    pub stop: Stop,
    /// The filter that removed it from the loss.
    #[serde(serialize_with = "optional_text")]
    pub dropped: Option<Arc<str>>,
    /// Number of turns.
    pub turns: u32,
    /// Number of all tokens.
    pub tokens: u32,
    /// Tokens that the policy sampled.
    pub sampled: u32,
    /// Turns with a format penalty or a malformed call.
    pub violations: u32,
    /// Calls that ran and failed.
    pub tool_errors: u32,
    /// Whether a limit ended it, not an answer.
    pub cut: bool,
    /// Sum of its turns' rewards, after shaping.
    pub reward: f64,
    /// The return of its first turn.
    pub first_return: f64,
    /// The advantage of largest magnitude, with its sign.
    pub advantage: f64,
}

fn text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

#[expect(clippy::ref_option, reason = "the signature is serde's")]
fn optional_text<S: Serializer>(text: &Option<Arc<str>>, serializer: S) -> Result<S::Ok, S::Error> {
    text.as_deref().serialize(serializer)
}

#[derive(Debug, Clone, Copy)]
struct Place {
    file: u32,
    line: u32,
    offset: u64,
    bytes: u64,
    first_row: u32,
    rows: u32,
}

/// Holds all rollouts of a run.
#[derive(Debug, Default)]
pub struct Index {
    files: Vec<Arc<IndexedFile>>,
    groups: Vec<Place>,
    rows: Vec<Row>,
    by_task: BTreeMap<Arc<str>, Vec<u32>>,
}

#[derive(Debug)]
struct IndexedFile {
    path: PathBuf,
    bytes: u64,
    groups: Vec<IndexedGroup>,
    bad: Vec<Bad>,
}

#[derive(Debug)]
struct IndexedGroup {
    line: u32,
    offset: u64,
    bytes: u64,
    rows: Vec<Row>,
}

impl Index {
    /// Reads the files of `folder` in the order of their names, or one file. Files that `before` knows with
    /// the same length aren't read again, so following a run is cheap. `progress` gets the bytes read and the
    /// total.
    pub fn build(
        folder: &Path,
        before: &Index,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Self, InspectError> {
        let paths = rollout_files(folder)?;
        let total = paths.iter().map(|(_, bytes)| bytes).sum();
        let (next, read) = (AtomicUsize::new(0), Mutex::new(0_u64));
        let work = || {
            let mut done = Vec::new();
            while let Some((at, (path, bytes))) = {
                let at = next.fetch_add(1, Ordering::Relaxed);
                paths.get(at).map(|entry| (at, entry))
            } {
                let known = before.files.iter().find(|file| file.path == *path && file.bytes == *bytes);
                let file = match known {
                    Some(file) => Ok(file.clone()),
                    None => index_file(path).map(Arc::new),
                };
                let mut read = read.lock().expect("no thread panicked");
                *read += bytes;
                progress(*read, total);
                done.push((at, file));
            }
            done
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(paths.len().max(1));
        let mut files: Vec<_> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("an index thread panicked")).collect()
        });
        files.sort_by_key(|(at, _)| *at);
        Ok(Self::of(files.into_iter().map(|(_, file)| file).collect::<Result<_, _>>()?))
    }

    fn of(files: Vec<Arc<IndexedFile>>) -> Self {
        let mut index = Self { files, ..Self::default() };
        let mut names: BTreeMap<Arc<str>, Vec<u32>> = BTreeMap::new();
        for (number, file) in index.files.iter().enumerate() {
            for IndexedGroup { line, offset, bytes, rows } in &file.groups {
                let (group, first_row) = (index.groups.len() as u32, index.rows.len() as u32);
                let (file, rows_here) = (number as u32, rows.len() as u32);
                index.groups.push(Place {
                    file,
                    line: *line,
                    offset: *offset,
                    bytes: *bytes,
                    first_row,
                    rows: rows_here,
                });
                for row in rows {
                    let id = index.rows.len() as u32;
                    // All rollouts of a task share one name.
                    let task =
                        names.get_key_value(&row.task).map_or(row.task.clone(), |(name, _)| name.clone());
                    names.entry(task.clone()).or_default().push(id);
                    index.rows.push(Row { id, group, task, ..row.clone() });
                }
            }
        }
        index.by_task = names;
        index
    }

    /// Returns all rollouts, by step, group and sample.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Returns the rollouts of a row's group.
    pub fn siblings(&self, row: &Row) -> &[Row] {
        let place = &self.groups[row.group as usize];
        &self.rows[place.first_row as usize..(place.first_row + place.rows) as usize]
    }

    /// Returns the rollouts of a task, over all steps.
    pub fn of_task(&self, task: &str) -> impl Iterator<Item = &Row> {
        self.by_task.get(task).into_iter().flatten().map(|&id| &self.rows[id as usize])
    }

    /// Returns the lines that were left out.
    pub fn bad(&self) -> impl Iterator<Item = &Bad> {
        self.files.iter().flat_map(|file| &file.bad)
    }

    /// Returns the number of groups.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Returns the bytes of a group's line.
    pub(crate) fn line(&self, group: u32) -> Result<Vec<u8>, InspectError> {
        let place = self.groups[group as usize];
        let path = &self.files[place.file as usize].path;
        let read = || {
            let mut file = turnwise_files::open(path)?;
            file.seek(SeekFrom::Start(place.offset))?;
            let mut bytes = vec![0; place.bytes as usize];
            file.read_exact(&mut bytes)?;
            Ok(bytes)
        };
        read().map_err(InspectError::read(path))
    }

    /// Returns a group in full.
    pub fn group(&self, group: u32) -> Result<GroupRecord, InspectError> {
        let line = self.line(group)?;
        serde_json::from_slice(&group_line(&line)).map(without_tokens).map_err(|error| {
            let place = self.groups[group as usize];
            let path = self.files[place.file as usize].path.clone();
            RecordError::Broken { path, line: place.line as usize, message: words(&error) }.into()
        })
    }
}

/// Returns the rollout files of a run with their lengths, or the one named file. None before the first step.
fn rollout_files(folder: &Path) -> Result<Vec<(PathBuf, u64)>, InspectError> {
    if folder.is_file() {
        let bytes = folder.metadata().map_err(InspectError::read(folder))?.len();
        return Ok(vec![(folder.into(), bytes)]);
    }
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(InspectError::read(folder)(source)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(InspectError::read(folder))?;
        let path = entry.path();
        // Nothing was learnt from groups that others replaced.
        let learnt = !entry.file_name().to_string_lossy().starts_with(REPLACED);
        if learnt && path.extension().is_some_and(|extension| extension == "jsonl") {
            let bytes = entry.metadata().map_err(InspectError::read(&path))?.len();
            files.push((path, bytes));
        }
    }
    files.sort();
    Ok(files)
}

fn index_file(path: &Path) -> Result<IndexedFile, InspectError> {
    let text = turnwise_files::read(path, turnwise_files::TEXT).map_err(InspectError::read(path))?;
    let mut file =
        IndexedFile { path: path.into(), bytes: text.len() as u64, groups: Vec::new(), bad: Vec::new() };
    let mut offset = 0_usize;
    for (number, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let trimmed = line.trim_ascii();
        if !trimmed.is_empty() {
            match serde_json::from_slice::<GroupOutline>(&group_line(trimmed)) {
                Ok(outline) => file.groups.push(IndexedGroup {
                    line: number as u32 + 1,
                    offset: offset as u64,
                    bytes: line.len() as u64,
                    rows: rows(&outline),
                }),
                Err(error) => {
                    let message = words(&error);
                    file.bad.push(Bad { path: path.into(), line: number + 1, message });
                }
            }
        }
        offset += line.len();
    }
    Ok(file)
}

fn rows(group: &GroupOutline) -> Vec<Row> {
    let task: Arc<str> = group.group.as_str().into();
    let row = |(at, trajectory): (usize, &TrajectoryOutline)| {
        let played = &trajectory.played;
        let turn = |values: &[Vec<f64>]| values.get(at).cloned().unwrap_or_default();
        let sampled = played.turns.iter().map(|turn| turn.tokens.0).sum();
        let of_branch = |turn: &TurnOutline| turn.branch.as_ref().map_or(0, |branch| branch.context.0);
        let observed: u32 = played.turns.iter().map(|turn| turn.observation.0 + of_branch(turn)).sum();
        let malformed =
            |j: usize| played.turns[j].calls.iter().any(|call| matches!(call, CallOutline::Malformed(_)));
        let penalised = |j: usize| trajectory.turns.get(j).is_some_and(|reward| reward.fmt() < 0.0);
        // Records of an earlier version have no flags.
        let violates =
            |j: usize| trajectory.violations.get(j).copied().unwrap_or_else(|| malformed(j) || penalised(j));
        let failed = |call: &&CallOutline| match call {
            CallOutline::Executed { output } => output.status != OutputStatus::Ok,
            CallOutline::Malformed(_) => false,
        };
        let advantages = turn(&group.advantages);
        Row {
            id: 0,
            group: 0,
            at: at as u32,
            step: group.step as u32,
            task: task.clone(),
            level: group.level,
            sample: played.sample,
            correct: trajectory.correct,
            stop: played.stop,
            dropped: group.dropped.get(at).and_then(|dropped| dropped.as_deref().map(Into::into)),
            turns: played.turns.len() as u32,
            tokens: played.prompt.0 + sampled + observed,
            sampled,
            violations: (0..played.turns.len()).filter(|&j| violates(j)).count() as u32,
            tool_errors: played.turns.iter().flat_map(|turn| &turn.calls).filter(failed).count() as u32,
            cut: played.stop.is_truncated(),
            reward: turn(&group.rewards).iter().sum(),
            first_return: turn(&group.returns).first().copied().unwrap_or_default(),
            advantage: advantages.into_iter().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or_default(),
        }
    };
    group.trajectories.iter().enumerate().map(row).collect()
}
