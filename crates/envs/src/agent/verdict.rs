//! Reads the last line of a program: the rewards of its trajectory.
//!
//! ```text
//! {"rewards": {"acc": 1.0}, "turn_rewards": [{"progress": 0.1}, {}], "correct": true}
//! ```

use serde::Deserialize;
use serde_json::Value;
use turnwise_trajectory::Rewards;

/// Holds the rewards of a trajectory.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Verdict {
    /// Rewards of the last call.
    pub rewards: Rewards,
    /// Rewards of each call, by its number. Calls beyond the list have none.
    pub turn_rewards: Vec<Rewards>,
    /// Whether the trajectory is right. None leaves that to its rewards named `acc`.
    pub correct: Option<bool>,
}

/// Keys that make an object a verdict.
const KEYS: [&str; 3] = ["rewards", "turn_rewards", "correct"];
/// Most characters of a line that an error shows.
const SHOWN: usize = 200;

impl Verdict {
    /// Reads the last line that isn't empty. None if it doesn't begin an object, or has none of the keys.
    ///
    /// # Errors
    /// If it begins an object and is no JSON, as with NaN. If it has one of the keys, and is wrong.
    pub(super) fn of(stdout: &str) -> Result<Option<Self>, String> {
        let Some(line) = stdout.lines().rev().find(|line| !line.trim().is_empty()) else { return Ok(None) };
        if !line.trim_start().starts_with('{') {
            return Ok(None);
        }
        let wrong = |reason: String| {
            let shown: String = line.chars().take(SHOWN).collect();
            format!("its last line {shown:?} gives no rewards: {reason}")
        };
        let said: Value = serde_json::from_str(line).map_err(|error| {
            wrong(format!("no JSON: {} at column {}", turnwise_json::words(&error), error.column()))
        })?;
        if !KEYS.iter().any(|key| said.get(key).is_some()) {
            return Ok(None);
        }
        let read: Self = turnwise_json::of_text(line).map_err(wrong)?;
        for rewards in read.turn_rewards.iter().chain([&read.rewards]) {
            rewards.unfit().map_or(Ok(()), |why| Err(wrong(why)))?;
        }
        Ok(Some(read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_line_counts_and_only_if_it_speaks_of_rewards() {
        let of = |stdout: &str| Verdict::of(stdout).unwrap();
        for stdout in
            ["", "\n\n", "Answer: 4", "{\"answer\": 4}", "[1]", "[NaN]", "NaN", "{\"rewards\":{}}\n4\n"]
        {
            assert_eq!(of(stdout), None, "{stdout}");
        }
        let whole =
            of("noise\n{\"rewards\": {\"acc\": 1}, \"turn_rewards\": [{\"p\": 0.5}, {}]}\n\n").unwrap();
        assert_eq!((whole.rewards.acc(), whole.turn_rewards.len(), whole.correct), (1.0, 2, None));
        assert_eq!(of("{\"correct\": false}").unwrap().correct, Some(false));
        assert!(of("{\"rewards\": {}}").unwrap().rewards.is_empty());
    }

    #[test]
    fn a_verdict_that_cannot_be_used_says_why() {
        let fails = |line: &str, expect: &str| {
            let error = Verdict::of(line).unwrap_err();
            assert!(error.starts_with("its last line ") && error.contains(expect), "{error}");
        };
        fails(r#"{"rewards": {"acc": "1"}}"#, "rewards.acc: the text \"1\", expected a number");
        fails(r#"{"rewards": {"acc": 1e300}}"#, "expected a number");
        fails(r#"{"rewards": {"acc": 1.5}}"#, "the reward \"acc\" is 1.5, expected a grade from 0 to 1");
        fails(
            r#"{"rewards": {}, "turn_rewards": [{}, {"acc": -1}]}"#,
            "the reward \"acc\" is -1.0, expected",
        );
        fails(r#"{"rewards": {"acc": 1, "acc": 0}}"#, "the reward \"acc\" stands twice");
        fails(r#"{"rewards": {"acc": 1}, "reward": 1}"#, "unknown field `reward`");
        fails(r#"{"rewards": 1}"#, "rewards: the number 1, expected an object of numbers");
        fails(r#"{"turn_rewards": {"acc": 1}}"#, "turn_rewards: an object, expected a list");
        fails(r#"{"rewards": {"p": 2e100}}"#, "expected a number from -1e100 to 1e100");
        // Programs in Python write these.
        fails(r#"{"rewards": {"acc": NaN}}"#, "no JSON: no value of JSON");
        fails(r#"{"rewards": {"acc": 1}, "turn_rewards": [{"p": -Infinity}]}"#, "no JSON: invalid number");
        fails(r#" {"correct": True}"#, "no JSON: no value of JSON");
        fails(r#"{"rewards""#, "no JSON: the JSON ends inside an object at column 10");
        fails(r#"{"rewards": {"": 1}}"#, "a name has 1 to 64 bytes and no control characters");
        fails(r#"{"turn_rewards": [{"a\u0007": 1}]}"#, "the reward \"a\\u{7}\": a name has 1 to 64 bytes");
        fails(r#"{"rewards": {"fmt": 1}}"#, "the reward \"fmt\" is turnwise's own");
        let many: Vec<String> = (0..65).map(|n| format!("\"{n}\": 1")).collect();
        fails(&format!("{{\"rewards\": {{{}}}}}", many.join(", ")), "at most 64 names");
    }
}
