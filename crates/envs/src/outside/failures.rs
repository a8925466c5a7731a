//! Failures in a row: three of them end a run.

/// Failures in a row that end the run.
pub(crate) const MAX_FAILURES: usize = 3;

/// Holds the reasons of the failures since a turn was last answered.
#[derive(Default)]
pub(crate) struct Failures(Vec<String>);

impl Failures {
    /// Adds a failure. Returns all reasons, in a line, if there are now [`MAX_FAILURES`] in a row.
    pub(crate) fn add(&mut self, reason: String) -> Option<String> {
        self.0.push(reason);
        if self.0.len() < MAX_FAILURES {
            return None;
        }
        let mut reasons = std::mem::take(&mut self.0);
        // Equal failures are told once.
        reasons.dedup();
        Some(format!("failed {MAX_FAILURES} times in a row: {}", reasons.join("; then ")))
    }

    /// Begins again: a turn was answered.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Returns a command for an error. A whole program may stand in it.
pub(crate) fn named(command: &[String]) -> String {
    let command: Vec<String> = command.iter().map(|word| word.chars().take(60).collect()).collect();
    format!("command = {command:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_without_an_answered_turn_are_told_once_each() {
        let mut failures = Failures::default();
        assert_eq!(failures.add("a".into()), None);
        assert_eq!(failures.add("a".into()), None);
        failures.clear();
        assert_eq!(failures.add("a".into()), None);
        assert_eq!(failures.add("a".into()), None);
        assert_eq!(failures.add("b".into()).unwrap(), "failed 3 times in a row: a; then b");
        let long = named(&["python3".into(), "x".repeat(100)]);
        assert_eq!(long, format!("command = [\"python3\", {:?}]", "x".repeat(60)));
    }
}
