//! Evaluates a model on held-out tasks, kind by kind.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fields::{number, read, short};

/// Results of a model on held-out tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeldOut {
    /// Share of right samples: avg@k.
    pub(crate) accuracy: f64,
    pub(crate) tool_success: f64,
    pub(crate) violations: f64,
    pub(crate) turns: f64,
    pub(crate) levels: BTreeMap<u32, f64>,
    /// A digit per task: the number of its samples that are right.
    pub(crate) right: String,
    /// Samples per task.
    #[serde(default = "eight", skip_serializing_if = "is_eight")]
    pub(crate) samples: u32,
    /// A digit per task: the number of samples that are right and break the format nowhere. Empty in older
    /// records.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) strict: String,
    /// A letter per task, see [`kind`]. Empty in older records.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) kinds: String,
    /// Statistics by letter.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) by_kind: BTreeMap<char, OfKind>,
}

impl Default for HeldOut {
    fn default() -> Self {
        Self {
            accuracy: 0.0,
            tool_success: 0.0,
            violations: 0.0,
            turns: 0.0,
            levels: BTreeMap::new(),
            right: String::new(),
            samples: eight(),
            strict: String::new(),
            kinds: String::new(),
            by_kind: BTreeMap::new(),
        }
    }
}

fn eight() -> u32 {
    8
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_eight(samples: &u32) -> bool {
    *samples == eight()
}

/// Statistics of a kind that the digits of its tasks don't hold.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfKind {
    /// Turns per trajectory.
    pub(crate) turns: f64,
    /// Share of turns that break the format.
    pub(crate) violations: f64,
    /// Share of trajectories that give the most frequent answer.
    pub(crate) commonest: f64,
}

/// An evaluation, and the number of its executions and rollouts that didn't end by themselves.
#[derive(Debug, Default)]
pub(crate) struct Evaluated {
    pub(crate) held_out: HeldOut,
    pub(crate) stopped: u64,
}

/// Digits to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digits {
    /// Right answers.
    Right,
    /// Right answers of trajectories that break the format nowhere.
    Strict,
}

impl HeldOut {
    /// Returns the share of right samples among tasks of these kinds, or of all if `kinds` is empty. None
    /// without such tasks.
    pub(crate) fn share(&self, kinds: &str, digits: Digits) -> Option<f64> {
        let counts = match digits {
            Digits::Right => &self.right,
            Digits::Strict => &self.strict,
        };
        let all = kinds.is_empty();
        let mut of_kind = self.kinds.chars().map(|kind| kinds.contains(kind));
        let counted = counts.chars().filter(|_| all || of_kind.next().unwrap_or(false));
        let found: Vec<f64> = counted.filter_map(|digit| Some(f64::from(digit.to_digit(36)?))).collect();
        let samples = found.len() as f64 * f64::from(self.samples);
        (samples > 0.0).then(|| found.iter().sum::<f64>() / samples)
    }

    /// Reads the output of `turnwise rollout --json` and the trajectories that it wrote.
    pub(crate) fn harvest(evaluation: &str, lines: &Path) -> Result<Evaluated> {
        let value: Value = serde_json::from_str(evaluation).context("the evaluation is no JSON")?;
        let outcomes: Vec<Outcome> =
            serde_json::from_value(value["outcomes"].clone()).context("the outcomes of the evaluation")?;
        let played = by_task(lines)?;
        ensure!(played.len() == outcomes.len(), "{}: not the tasks of the evaluation", lines.display());
        let mut found = Self {
            accuracy: number(&value, "accuracy")?,
            tool_success: short(number(&value, "tool_success")?),
            violations: number(&value, "violations")?,
            turns: short(number(&value, "turns")?),
            levels: serde_json::from_value(value["levels"].clone()).context("levels")?,
            samples: played.iter().map(|task| task.len() as u32).max().unwrap_or_default(),
            ..Self::default()
        };
        let mut tallies: BTreeMap<char, Tally> = BTreeMap::new();
        for (task, outcome) in played.iter().zip(&outcomes) {
            let strict = |line: &&Line| line.correct && !line.violations.contains(&true);
            found.right.push(digit(task.iter().filter(|line| line.correct).count()));
            found.strict.push(digit(task.iter().filter(strict).count()));
            let kind = kind(&task[0], outcome);
            found.kinds.push(kind);
            tallies.entry(kind).or_default().add(task, outcome);
        }
        found.by_kind = tallies.iter().map(|(kind, tally)| (*kind, tally.shares())).collect();
        let stopped: usize = played.iter().flatten().map(|line| line.played.stopped()).sum();
        let lost = value["rollouts_lost"].as_u64().unwrap_or(0);
        Ok(Evaluated { held_out: found, stopped: stopped as u64 + lost })
    }
}

fn digit(count: usize) -> char {
    u32::try_from(count).ok().and_then(|count| char::from_digit(count, 36)).unwrap_or('?')
}

/// A task in the output of the evaluation.
#[derive(Deserialize)]
struct Outcome {
    task: String,
    level: u32,
    samples: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    answer: Option<String>,
    failure: Option<String>,
}

/// A trajectory in the output of `turnwise rollout`.
#[derive(Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct Line {
    task: String,
    correct: bool,
    violations: Vec<bool>,
    messages: Vec<Message>,
    pub(crate) played: Played,
}

/// A line as programs write it: a group of one trajectory, or the trajectory itself in the program of E1.
#[derive(Deserialize)]
struct Written {
    #[serde(alias = "task")]
    group: String,
    messages: Vec<Message>,
    #[serde(default)]
    trajectories: Vec<Judged>,
    #[serde(default)]
    correct: bool,
    #[serde(default)]
    violations: Vec<bool>,
    played: Option<Played>,
}

#[derive(Deserialize)]
struct Judged {
    correct: bool,
    #[serde(default)]
    violations: Vec<bool>,
    played: Played,
}

impl TryFrom<Written> for Line {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written { group: task, messages, trajectories, correct, violations, played } = written;
        let alone = played.map(|played| Judged { correct, violations, played });
        let judged =
            alone.or_else(|| trajectories.into_iter().next()).ok_or("a line without a trajectory")?;
        Ok(Self {
            task,
            correct: judged.correct,
            violations: judged.violations,
            messages,
            played: judged.played,
        })
    }
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: String,
}

#[derive(Deserialize)]
pub(crate) struct Played {
    pub(crate) prompt: Vec<u32>,
    pub(crate) turns: Vec<Turn>,
}

#[derive(Deserialize)]
pub(crate) struct Turn {
    pub(crate) tokens: Vec<u32>,
    pub(crate) logprobs: Vec<f64>,
    pub(crate) observation: Vec<u32>,
    #[serde(default)]
    calls: Vec<Value>,
}

impl Played {
    /// Counts executions that ended neither well nor with an error of the code.
    fn stopped(&self) -> usize {
        let calls = self.turns.iter().flat_map(|turn| &turn.calls);
        let status = calls.filter_map(|call| call["executed"]["output"]["status"].as_str());
        status.filter(|status| !["ok", "error"].contains(status)).count()
    }
}

/// Returns the trajectories of each task, in the order of the file.
pub(crate) fn by_task(path: &Path) -> Result<Vec<Vec<Line>>> {
    let mut tasks: Vec<Vec<Line>> = Vec::new();
    for text in read(path)?.lines() {
        let line: Line = serde_json::from_str(text).with_context(|| path.display().to_string())?;
        match tasks.last_mut() {
            Some(task) if task[0].task == line.task => task.push(line),
            _ => tasks.push(vec![line]),
        }
    }
    Ok(tasks)
}

/// Returns the kind of a task: its level, for a chain of facts or of operations; `y` or `n`, the right answer
/// of a comparison; `h` for a function that leaves out a constant, `t` for one that tells all.
fn kind(first: &Line, outcome: &Outcome) -> char {
    let question = first.messages.iter().find(|message| message.role == "user");
    let question = question.map_or("", |message| message.content.as_str());
    if outcome.task.starts_with("programs/") {
        return if question.contains('?') { 'h' } else { 't' };
    }
    if outcome.task.starts_with("lookup/") && question.starts_with("Is ") {
        // The right answer is in no output. An answer and its verdict determine it.
        let truth = |sample: &Sample| match (sample.answer.as_deref()?, sample.failure.is_none()) {
            ("yes", true) | ("no", false) => Some('y'),
            ("no", true) | ("yes", false) => Some('n'),
            _ => None,
        };
        return outcome.samples.iter().find_map(truth).unwrap_or('?');
    }
    char::from_digit(outcome.level, 36).unwrap_or('?')
}

/// Returns the name of a kind in tables.
pub(crate) fn kind_name(family: &str, kind: char) -> String {
    match kind {
        'h' => "hidden constant".into(),
        't' => "constants told".into(),
        'y' => "yes/no, truth yes".into(),
        'n' => "yes/no, truth no".into(),
        level if family.starts_with("arithmetic") => format!("{level} operations"),
        level => format!("{level} hops"),
    }
}

#[derive(Default)]
struct Tally {
    trajectories: usize,
    turns: usize,
    violations: usize,
    answers: BTreeMap<String, usize>,
}

impl Tally {
    fn add(&mut self, task: &[Line], outcome: &Outcome) {
        for line in task {
            self.trajectories += 1;
            self.turns += line.violations.len();
            self.violations += line.violations.iter().filter(|violates| **violates).count();
        }
        for answer in outcome.samples.iter().filter_map(|sample| sample.answer.clone()) {
            *self.answers.entry(answer).or_default() += 1;
        }
    }

    fn shares(&self) -> OfKind {
        let share = |part: usize, whole: usize| short(part as f64 / whole.max(1) as f64);
        OfKind {
            turns: share(self.turns, self.trajectories),
            violations: share(self.violations, self.turns),
            commonest: share(self.answers.values().copied().max().unwrap_or(0), self.trajectories),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns a trajectory as `turnwise rollout` writes it.
    pub(crate) fn line(task: &str, question: &str, correct: bool, violations: &[bool]) -> String {
        let turn = r#"{"tokens":[3,4],"logprobs":[-0.5,-0.25],"observation":[5],"calls":[{"executed":{"output":{"status":"timeout"}}}]}"#;
        let turns = vec![turn; violations.len()].join(",");
        format!(
            r#"{{"group":"{task}","level":2,"messages":[{{"role":"user","content":"{question}"}}],"trajectories":[{{"correct":{correct},"violations":{violations:?},"played":{{"prompt":[1,2],"turns":[{turns}]}}}}]}}"#
        )
    }

    #[test]
    fn tasks_are_counted_by_kind_right_and_strict() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("played.jsonl");
        let text = [
            line("lookup/held-out/0", "Who is the boss of Ann?", true, &[false, false]),
            line("lookup/held-out/0", "Who is the boss of Ann?", true, &[true, false]),
            line("lookup/held-out/1", "Is Ann older than Ben?", false, &[false]),
            line("lookup/held-out/1", "Is Ann older than Ben?", true, &[false, false, false]),
            line("programs/held-out/2", "f(x): add ?, sum", false, &[false]),
            line("programs/held-out/2", "f(x): add ?, sum", false, &[false]),
        ];
        std::fs::write(&path, text.join("\n")).unwrap();
        let sample = |answer: &str, right: bool| {
            let failure = if right { "null" } else { "\"wrong_answer\"" };
            format!(r#"{{"answer":{answer},"failure":{failure}}}"#)
        };
        let outcome = |task: &str, samples: [String; 2]| {
            format!(r#"{{"task":"{task}","level":2,"samples":[{}]}}"#, samples.join(","))
        };
        let outcomes = [
            outcome("lookup/held-out/0", [sample("\"Ann\"", true), sample("\"Ann\"", true)]),
            outcome("lookup/held-out/1", [sample("null", false), sample("\"no\"", true)]),
            outcome("programs/held-out/2", [sample("\"a\"", false), sample("\"b\"", false)]),
        ];
        let evaluation = format!(
            r#"{{"accuracy":0.5,"tool_success":1,"violations":0.1,"turns":1.5,"levels":{{"2":0.5}},"outcomes":[{}]}}"#,
            outcomes.join(",")
        );
        let Evaluated { held_out: found, stopped } = HeldOut::harvest(&evaluation, &path).unwrap();
        assert_eq!(stopped, 10, "each of the turns has a call that timed out");
        assert_eq!((&*found.right, &*found.strict, &*found.kinds, found.samples), ("210", "110", "2nh", 2));
        assert_eq!(found.by_kind[&'2'], OfKind { turns: 2.0, violations: 0.25, commonest: 1.0 });
        assert_eq!(found.by_kind[&'n'], OfKind { turns: 2.0, violations: 0.0, commonest: 0.5 });
        assert_eq!(found.share("2", Digits::Right), Some(1.0));
        assert_eq!(found.share("2n", Digits::Strict), Some(0.5));
        assert_eq!((found.share("", Digits::Right), found.share("t", Digits::Right)), (Some(0.5), None));
        assert_eq!(kind_name("arithmetic", '3'), "3 operations");
    }
}
