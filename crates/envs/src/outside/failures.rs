//! Counts failures in a row: three of them end a run.

use std::collections::BTreeSet;

/// Failures in a row that end the run.
pub(crate) const MAX_FAILURES: usize = 3;

/// Holds the failures since a turn was last answered.
///
/// Failures that one task can explain count once: a task that ends its process does so in each of its samples.
#[derive(Default)]
pub(crate) struct Failures(Vec<Failure>);

/// Failures that a task may have caused.
struct Failure {
    /// The tasks that waited for an answer in each of them.
    tasks: BTreeSet<String>,
    reason: String,
}

impl Failures {
    /// Adds a failure. `tasks` are those that waited for an answer then. Returns all reasons, in a line, if
    /// there are now [`MAX_FAILURES`] in a row.
    pub(crate) fn add(&mut self, reason: String, tasks: BTreeSet<String>) -> Option<String> {
        let explained = self.0.iter_mut().find(|known| !known.tasks.is_disjoint(&tasks));
        if let Some(known) = explained {
            known.tasks.retain(|task| tasks.contains(task));
            return None;
        }
        self.0.push(Failure { tasks, reason });
        if self.0.len() < MAX_FAILURES {
            return None;
        }
        let mut reasons: Vec<String> = self.0.drain(..).map(|failure| failure.reason).collect();
        // Equal failures are told once.
        reasons.dedup();
        Some(format!("failed {MAX_FAILURES} times in a row: {}", reasons.join("; then ")))
    }

    /// Begins again: a turn was answered.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
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
    fn failures_that_one_task_explains_count_once() {
        for (failed, ends) in [
            (vec!["a", "a", "a", "a"], false),
            (vec!["a b c", "b c", "c d", "c", "a"], false),
            (vec!["a", "b", "a", "b"], false),
            (vec!["a", "b", "c"], true),
            (vec!["a b", "a", "b", "c"], true),
            (vec!["", "a", ""], true),
        ] {
            let mut failures = Failures::default();
            let ended = failed.iter().filter_map(|names| failures.add("x".into(), tasks(names))).count();
            assert_eq!(ended > 0, ends, "{failed:?}");
        }
    }
}
