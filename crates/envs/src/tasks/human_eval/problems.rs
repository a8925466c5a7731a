//! Reads files of problems and checks them: no problem in both files, and tests that can judge a program.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Mutex;

use serde_json::Value;
use turnwise_datasets::DataError;

use super::HumanEvalConfig;
use super::form::{Problem, Split};
use crate::env::EnvError;
use crate::judge::Judge;
use crate::tasks::same_question::normal;

/// Pairs a line with its problem.
pub(super) type Placed = (usize, Problem);

/// Returns the problems of a file, or those of one part of a file that holds both.
pub(super) fn read(
    path: &Path,
    columns: &BTreeMap<String, String>,
    split: Option<Split>,
) -> Result<Vec<Placed>, EnvError> {
    let mut problems = Vec::new();
    let mut rows = turnwise_datasets::rows(path)?.peekable();
    if rows.peek().is_none() {
        return Err(DataError::line(path, 1, "no record; hint: one JSON object per line").into());
    }
    for row in rows {
        let row = row?;
        let record: Value = row.read(path, columns)?;
        let problem = Problem::read(&record).map_err(|message| row.broken(path, message))?;
        if split.is_none_or(|split| problem.split.is_none_or(|own| own == split)) {
            problems.push((row.line, problem));
        }
    }
    match split {
        Some(split) if problems.is_empty() => {
            let message = format!("{} holds no problem that is published {split}", path.display());
            Err(EnvError::Config { env: "human_eval", message })
        }
        _ => Ok(problems),
    }
}

/// Refuses a duplicate name, and a problem of the training file that is held out.
pub(super) fn differ(
    config: &HumanEvalConfig,
    held_out: &[Placed],
    train: &[Placed],
) -> Result<(), EnvError> {
    let (mut ids, mut seen) = (HashSet::new(), HashSet::new());
    let files = [(&config.held_out, held_out), (&config.train, train)];
    for (path, line, problem) in
        files.iter().flat_map(|(path, all)| all.iter().map(move |(line, problem)| (path, line, problem)))
    {
        if !ids.insert(problem.id.as_str()) {
            let message =
                format!("{}: another record has this task_id, in this file or the other", problem.name());
            return Err(DataError::line(path, *line, message).into());
        }
    }
    seen.extend(held_out.iter().map(|(_, problem)| normal(&problem.prompt)));
    for (line, problem) in train {
        if seen.contains(&normal(&problem.prompt)) {
            let message = format!(
                "{}: the same problem is in env.human_eval.held_out; hint: leave it out here",
                problem.name()
            );
            return Err(DataError::line(&config.train, *line, message).into());
        }
    }
    Ok(())
}

/// Refuses the first problem whose tests can't judge any program.
pub(super) fn can_judge(judge: &Judge, path: &Path, problems: &[Placed]) -> Result<(), EnvError> {
    let left = Mutex::new(problems.iter());
    let next = || left.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
    let work = || {
        let mut wrong = Vec::new();
        while let Some((line, problem)) = next() {
            wrong.extend(judge.check(&problem.exam).err().map(|message| (*line, problem, message)));
        }
        wrong
    };
    let wrong = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..judge.at_once()).map(|_| scope.spawn(work)).collect();
        let found = threads.into_iter().flat_map(|thread| thread.join().expect("a check doesn't panic"));
        found.min_by_key(|(line, ..)| *line)
    });
    wrong.map_or(Ok(()), |(line, problem, message)| {
        let message = format!("{}: {message}; hint: leave the record out", problem.name());
        Err(DataError::line(path, line, message).into())
    })
}
