//! Counts failures in a row: those that two tasks can't explain end a run.

use std::collections::BTreeSet;

/// Failures in a row that end the run, if each has another cause.
const MAX_FAILURES: usize = 3;

/// Holds the failures since a turn was last answered.
///
/// A task that ends its process does so in each of its samples, and that is no failure of the environment.
/// Three such tasks in a row are.
#[derive(Default)]
pub(crate) struct Failures {
    /// The tasks that waited for an answer in each failure.
    tasks: Vec<BTreeSet<String>>,
    /// Failures in which no task waited.
    others: usize,
    /// Their number.
    total: usize,
    /// Their reasons. Equal ones in a row are told once.
    reasons: Vec<String>,
}

impl Failures {
    /// Adds a failure. `tasks` are those that waited for an answer then. Returns all reasons, in a line, if
    /// fewer than [`MAX_FAILURES`] tasks can't have caused all.
    pub(crate) fn add(&mut self, reason: String, tasks: BTreeSet<String>) -> Option<String> {
        self.total += 1;
        if self.reasons.len() < MAX_FAILURES && self.reasons.last() != Some(&reason) {
            self.reasons.push(reason);
        }
        if tasks.is_empty() {
            self.others += 1;
        } else if !self.tasks.contains(&tasks) {
            self.tasks.push(tasks);
        }
        let left = (MAX_FAILURES - 1).checked_sub(self.others);
        let sets: Vec<&BTreeSet<String>> = self.tasks.iter().collect();
        if left.is_some_and(|left| explained(&sets, left)) {
            return None;
        }
        let Self { total, reasons, .. } = std::mem::take(self);
        Some(format!("failed {total} times in a row: {}", reasons.join("; then ")))
    }

    /// Begins again: a turn was answered.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Returns whether `at_most` tasks can have caused all failures: each set holds one of them.
fn explained(sets: &[&BTreeSet<String>], at_most: usize) -> bool {
    let Some(first) = sets.first() else { return true };
    at_most > 0
        && first.iter().any(|task| {
            let others: Vec<_> = sets.iter().copied().filter(|set| !set.contains(task)).collect();
            explained(&others, at_most - 1)
        })
}

/// Returns a command for an error. A whole program may be quoted in it.
pub(crate) fn named(command: &[String]) -> String {
    let command: Vec<String> = command.iter().map(|word| word.chars().take(60).collect()).collect();
    format!("command = {command:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(names: &str) -> BTreeSet<String> {
        names.split_whitespace().map(String::from).collect()
    }

    #[test]
    fn three_failures_without_an_answered_turn_are_told_once_each() {
        let mut failures = Failures::default();
        let mut add = |reason: &str| failures.add(reason.into(), BTreeSet::new());
        assert_eq!((add("a"), add("a")), (None, None));
        failures.clear();
        let mut add = |reason: &str| failures.add(reason.into(), BTreeSet::new());
        assert_eq!((add("a"), add("a")), (None, None));
        assert_eq!(add("b").unwrap(), "failed 3 times in a row: a; then b");
        let long = named(&["python3".into(), "x".repeat(100)]);
        assert_eq!(long, format!("command = [\"python3\", {:?}]", "x".repeat(60)));
    }

    #[test]
    fn failures_that_two_tasks_explain_end_nothing() {
        for (failed, ends) in [
            (vec!["a", "a", "a", "a"], false),
            (vec!["a b c", "b c", "c d", "c", "a"], false),
            (vec!["a", "b", "a", "b"], false),
            (vec!["a b", "b c", "a", "c", "c d"], false),
            (vec!["a", "b", "c"], true),
            (vec!["a b", "a", "b", "c"], true),
            (vec!["a b", "c d", "e f"], true),
            (vec!["", "a", "a b"], false),
            (vec!["", "a", "b"], true),
            (vec!["", "a", ""], true),
        ] {
            let mut failures = Failures::default();
            let ended = failed.iter().filter_map(|names| failures.add("x".into(), tasks(names))).count();
            assert_eq!(ended > 0, ends, "{failed:?}");
        }
    }
}
