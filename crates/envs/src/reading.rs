//! Reads tasks of an environment. Openings that wait for something outside are made at the same time.

use std::collections::HashSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::scope;

use crate::env::{Env, EnvError};
use crate::tasks::{Task, TaskSplit};

/// Reads the tasks at `numbers` of a split, in this order.
///
/// An environment outside this process may keep the sessions that it opened for that, and plays the first
/// trajectory of each task in them. Those of an earlier reading that no trajectory has taken are closed.
///
/// # Errors
/// If the environment can't give a task. The first one in the order is named.
pub fn read_tasks(env: &dyn Env, split: TaskSplit, numbers: &[usize]) -> Result<Vec<Task>, EnvError> {
    env.close_openings();
    let at_once = env.waiting_at_once().min(env.sessions_at_once()).min(numbers.len());
    if at_once < 2 {
        return numbers.iter().map(|&number| env.task(split, number)).collect();
    }
    // A number that is drawn twice is read once.
    let mut seen = HashSet::new();
    let firsts: Vec<usize> = (0..numbers.len()).filter(|&at| seen.insert(numbers[at])).collect();
    let (next, read) = (AtomicUsize::new(0), numbers.iter().map(|_| OnceLock::new()).collect::<Vec<_>>());
    let work = || {
        while let Some(&at) = firsts.get(next.fetch_add(1, Ordering::Relaxed)) {
            let _ = read[at].set(env.task(split, numbers[at]));
        }
    };
    scope(|scope| (0..at_once).for_each(|_| drop(scope.spawn(work))));
    let tasks = numbers.iter().zip(read);
    tasks.map(|(&number, read)| read.into_inner().unwrap_or_else(|| env.task(split, number))).collect()
}
