//! Reads tasks of files: which of them, in which order, and which are held out.
//!
//! Order and split are a function of seed and questions alone: each question has a random key of its text. A
//! question therefore stays on its side when others are added or the file is sorted.

use std::collections::HashSet;
use std::hash::Hasher;
use std::path::{Path, PathBuf};

use fnv::FnvHasher;
use rand::Rng;
use turnwise_datasets::{DataError, Row, rows};
use turnwise_runfile::Conflict;

use crate::env::EnvError;
use crate::seed::stream;
use crate::tasks::same_question::normal;
use crate::tasks::{Task, question, told};

/// Names the files of an environment, and the tasks that are taken of them.
pub(crate) struct TaskFiles<'a> {
    /// The environment's name.
    pub(crate) env: &'static str,
    pub(crate) train: &'a Path,
    /// A separate file of held-out tasks, or the number of tasks of `train` that are held out.
    pub(crate) held_out: Option<&'a PathBuf>,
    pub(crate) held_out_tasks: Option<usize>,
    pub(crate) limit: Option<usize>,
    pub(crate) shuffle: bool,
    pub(crate) seed: u64,
}

/// A task with its line and its question in the normal form.
struct Placed {
    line: usize,
    normal: String,
    task: Task,
}

/// Pairs the tasks to train on with those held out.
pub(crate) type Both = (Vec<Task>, Vec<Task>);

/// Reads a task of a row. The name is a part of its id.
type Reader<'a> = dyn FnMut(&str, &Path, &Row) -> Result<Task, EnvError> + 'a;

impl TaskFiles<'_> {
    /// Returns the keys that contradict each other.
    pub(crate) fn conflict(held_out: Option<&PathBuf>, held_out_tasks: Option<usize>) -> Option<Conflict> {
        let message = match (held_out, held_out_tasks) {
            (Some(_), Some(_)) => "names a file beside held_out_tasks: one of the two says what is held out",
            (None, None) => "is missing: name a file, or give held_out_tasks to take them from `train`",
            _ => return None,
        };
        Some(Conflict::new("held_out", message))
    }

    /// Reads the tasks.
    ///
    /// # Errors
    /// If a row isn't a task, an id is that of another task, a file holds none, a held-out question is in
    /// `train` as well, or the split leaves nothing to train on.
    pub(crate) fn read(&self, task: &mut Reader<'_>) -> Result<Both, EnvError> {
        let env = self.env;
        if let Some(Conflict { key, message }) = Self::conflict(self.held_out, self.held_out_tasks) {
            return Err(EnvError::Config { env, message: format!("{key} {message}") });
        }
        let mut ids = HashSet::new();
        let Some(held_out) = self.held_out else {
            return self.split(self.file(self.train, "all", &mut ids, task)?);
        };
        let train = self.file(self.train, "train", &mut ids, task)?;
        let seen: HashSet<&str> = train.iter().map(|placed| placed.normal.as_str()).collect();
        let held_out_tasks = self.file(held_out, "held-out", &mut ids, task)?;
        let leaks = held_out_tasks.iter().filter(|placed| seen.contains(placed.normal.as_str()));
        if let Some(Placed { line, task, .. }) = leaks.min_by_key(|placed| placed.line) {
            let message = format!(
                "the question {:?} is in env.{env}.train as well\n  hint: give a file that training never sees",
                short(question(task))
            );
            return Err(DataError::line(held_out, *line, message).into());
        }
        Ok((tasks(train), tasks(held_out_tasks)))
    }

    /// Reads the tasks of a file. `ids`: those of all files.
    fn file(
        &self,
        path: &Path,
        name: &str,
        ids: &mut HashSet<String>,
        task: &mut Reader<'_>,
    ) -> Result<Vec<Placed>, EnvError> {
        let limit = self.limit.unwrap_or(usize::MAX);
        // Without a shuffle, rows after the limit aren't read.
        let ahead = if self.shuffle { usize::MAX } else { limit };
        let mut placed = Vec::new();
        for row in rows(path)?.take(ahead) {
            let row = row?;
            let task = task(name, path, &row)?;
            if !ids.insert(task.id.clone()) {
                let message = format!("the id {:?} is taken; hint: leave it out", task.id);
                return Err(DataError::line(path, row.line, message).into());
            }
            placed.push(Placed { line: row.line, normal: normal(&told(&task)), task });
        }
        if placed.is_empty() {
            let message =
                format!("{} holds no task: give a file with one JSON object per line", path.display());
            return Err(EnvError::Config { env: self.env, message });
        }
        if self.shuffle {
            placed.sort_by_cached_key(|placed| (self.key(&placed.normal), placed.line));
            placed.truncate(limit);
        }
        Ok(placed)
    }

    fn key(&self, normal: &str) -> u64 {
        let mut hasher = FnvHasher::default();
        hasher.write(normal.as_bytes());
        stream(self.seed, "split", hasher.finish()).next_u64()
    }

    /// Holds out the questions with the smallest keys. The first of equal ones is held out, and none
    /// is trained on.
    fn split(&self, mut all: Vec<Placed>) -> Result<Both, EnvError> {
        let count = self.held_out_tasks.unwrap_or_default();
        let mut keys: Vec<(u64, &str)> =
            all.iter().map(|placed| (self.key(&placed.normal), placed.normal.as_str())).collect();
        keys.sort_unstable();
        keys.dedup();
        if count >= keys.len() {
            let message =
                format!("held_out_tasks = {count} leaves nothing to train on of {} questions", keys.len());
            return Err(EnvError::Config { env: self.env, message });
        }
        let order: Vec<String> = keys[..count].iter().map(|(_, normal)| (*normal).to_string()).collect();
        let chosen: HashSet<&str> = order.iter().map(String::as_str).collect();
        let mut held_out: Vec<Placed> =
            all.extract_if(.., |placed| chosen.contains(placed.normal.as_str())).collect();
        held_out.sort_by_cached_key(|placed| (self.key(&placed.normal), placed.normal.clone(), placed.line));
        held_out.dedup_by(|a, b| a.normal == b.normal);
        Ok((tasks(all), tasks(held_out)))
    }
}

fn tasks(placed: Vec<Placed>) -> Vec<Task> {
    placed.into_iter().map(|placed| placed.task).collect()
}

/// Returns the start of a value for an error message.
pub(crate) fn short(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::asked;

    fn read(lines: &[&str], change: impl Fn(&mut TaskFiles<'_>)) -> Result<[Vec<String>; 2], String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.jsonl");
        let text: Vec<String> = lines.iter().map(|line| format!("{line:?}")).collect();
        std::fs::write(&path, text.join("\n")).unwrap();
        let mut files = TaskFiles {
            env: "qa",
            train: &path,
            held_out: None,
            held_out_tasks: Some(3),
            limit: None,
            shuffle: false,
            seed: 0,
        };
        change(&mut files);
        let both = files.read(&mut |name, path, row| {
            let question: String = row.read(path, &std::collections::BTreeMap::new())?;
            let id = format!("{name}/{}", row.line);
            Ok(Task { id, level: 0, messages: asked("told", question), answer: String::new() })
        });
        let (train, held_out) = both.map_err(|error| error.to_string())?;
        Ok([train, held_out].map(|tasks| tasks.iter().map(|task| question(task).to_string()).collect()))
    }

    const LINES: [&str; 9] = ["a1", "b2", "c3", "d4", "e5", "f6", "g7", "h8", "i9"];

    #[test]
    fn every_question_is_on_one_side_and_stays_there() {
        let [train, held_out] = read(&LINES, |_| ()).unwrap();
        assert_eq!((train.len(), held_out.len()), (6, 3));
        assert!(LINES.iter().all(|line| train.iter().chain(&held_out).filter(|q| q == line).count() == 1));
        // Training keeps the order of the file.
        assert!(train.is_sorted());
        let mut turned = LINES;
        turned.reverse();
        assert_eq!(read(&turned, |_| ()).unwrap()[1], held_out);
        // A further question moves one other at most.
        let [_, more] = read(&[&LINES[..], &["j10"]].concat(), |_| ()).unwrap();
        assert!(more.iter().filter(|question| !held_out.contains(question)).count() <= 1);
        let sides: HashSet<Vec<String>> =
            (0..20).map(|seed| read(&LINES, |files| files.seed = seed).unwrap()[1].clone()).collect();
        assert!(sides.len() > 10, "the seed decides");
    }

    #[test]
    fn a_question_that_is_held_out_is_trained_on_in_no_spelling() {
        let twice: Vec<String> = LINES.iter().map(|line| format!(" {}?", line.to_uppercase())).collect();
        let lines: Vec<&str> = LINES.iter().copied().chain(twice.iter().map(String::as_str)).collect();
        let [train, held_out] = read(&lines, |_| ()).unwrap();
        assert_eq!(held_out, read(&LINES, |_| ()).unwrap()[1]);
        assert_eq!(train.len(), 12);
        assert!(train.iter().all(|question| !held_out.iter().any(|held| normal(held) == normal(question))));
    }

    #[test]
    fn a_shuffle_comes_before_the_limit() {
        let all = |files: &mut TaskFiles<'_>| (files.shuffle, files.held_out_tasks) = (true, Some(1));
        let [train, held_out] = read(&LINES, all).unwrap();
        assert!(!train.is_sorted());
        let [few, _] = read(&LINES, |files| {
            all(files);
            files.limit = Some(4);
        })
        .unwrap();
        let order = [held_out, train].concat();
        assert_eq!(few, order[1..4], "the first ones of the same order");
        let [first, held] =
            read(&LINES, |files| (files.limit, files.held_out_tasks) = (Some(4), Some(1))).unwrap();
        assert!([first, held].concat().iter().all(|question| LINES[..4].contains(&question.as_str())));
    }

    #[test]
    fn a_split_that_leaves_nothing_is_refused() {
        for (count, expect) in
            [(9, "held_out_tasks = 9 leaves nothing to train on of 9 questions"), (10, "= 10 leaves")]
        {
            let error = read(&LINES, |files| files.held_out_tasks = Some(count)).unwrap_err();
            assert!(error.starts_with("env.qa: ") && error.contains(expect), "{error}");
        }
        let error = read(&LINES, |files| files.held_out_tasks = None).unwrap_err();
        assert!(error.starts_with("env.qa: held_out is missing: "), "{error}");
        let path = PathBuf::from("held.jsonl");
        let both = TaskFiles::conflict(Some(&path), Some(1)).unwrap();
        assert!(both.message.contains("beside held_out_tasks"));
    }
}
