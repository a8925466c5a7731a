//! Summarises an evaluation with several samples per task in numbers with intervals, and compares two of them
//! task by task. Intervals are BCa over tasks drawn again with all their samples.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bootstrap::{Interval, task_bootstrap};
use crate::mean::mean;
use crate::paired::{PairedT, paired_t};
use crate::repeated::{majority_at_k, pass_at_k};

/// Confidence of every interval here.
const CONFIDENCE: f64 = 0.95;
/// Bootstrap resamples.
const RESAMPLES: usize = 2000;
/// Seed of the resamples: the same evaluation always has the same intervals.
const SEED: u64 = 0;

/// Holds a task and the outcomes of its samples.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TaskOutcome {
    /// The task's id.
    pub task: String,
    /// Its difficulty.
    pub level: u32,
    /// One entry per sample.
    pub samples: Vec<SampleOutcome>,
    /// Whether its answers can't be counted, like programs; there is no majority then.
    #[serde(default, skip_serializing_if = "is_false")]
    pub uncounted: bool,
}

/// Describes the outcome of one sample.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SampleOutcome {
    /// The final answer, if it gave one.
    pub answer: Option<String>,
    /// Its vote, if that isn't the answer's text: equal for answers of one value, empty for no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vote: Option<String>,
    /// Reason for its failure, in a word; none if it is right.
    pub failure: Option<String>,
}

/// serde requires a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

impl TaskOutcome {
    fn right(&self) -> usize {
        self.samples.iter().filter(|sample| sample.failure.is_none()).count()
    }

    /// Returns the share of right samples; 0 without samples.
    pub fn average(&self) -> f64 {
        if self.samples.is_empty() { 0.0 } else { self.right() as f64 / self.samples.len() as f64 }
    }

    fn pass(&self, k: usize) -> f64 {
        pass_at_k(self.samples.len(), self.right(), k)
    }

    /// Returns the chance that the majority of `k` samples is right. All right answers are one answer; wrong
    /// ones differ by their votes.
    fn majority(&self, k: usize) -> f64 {
        let mut wrong: BTreeMap<&str, usize> = BTreeMap::new();
        for sample in self.samples.iter().filter(|sample| sample.failure.is_some()) {
            if let Some(vote) =
                sample.vote.as_ref().or(sample.answer.as_ref()).filter(|vote| !vote.is_empty())
            {
                *wrong.entry(vote).or_default() += 1;
            }
        }
        let counts: Vec<usize> = wrong.into_values().collect();
        majority_at_k(self.samples.len(), self.right(), &counts, k)
    }
}

/// Holds a mean over tasks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean.
    pub value: f64,
    /// Its 95 % interval; none of fewer than two tasks.
    pub interval: Option<Interval>,
}

impl Estimate {
    fn of(by_task: &[f64]) -> Self {
        Self { value: mean(by_task), interval: task_bootstrap(by_task, RESAMPLES, SEED, CONFIDENCE) }
    }
}

/// Summarises the tasks of one level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Level {
    /// How many there are.
    pub tasks: usize,
    /// Share of right samples.
    pub average: Estimate,
}

/// Summarises an evaluation in numbers. Keys are `k`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Tasks.
    pub tasks: usize,
    /// Samples of each; the fewest, where executor faults cost some tasks a sample.
    pub samples: usize,
    /// Share of right samples.
    pub average: Estimate,
    /// The chance that one of `k` samples is right.
    pub pass: BTreeMap<usize, Estimate>,
    /// The chance that the most frequent of `k` answers is right. Empty where answers can't be counted.
    pub majority: BTreeMap<usize, Estimate>,
    /// By level of the task.
    pub levels: BTreeMap<u32, Level>,
    /// Share of all samples that failed for a reason.
    pub failures: BTreeMap<String, f64>,
}

/// One, two, four, … and all samples.
fn ks(samples: usize) -> impl Iterator<Item = usize> {
    let powers = std::iter::successors(Some(1), |k| Some(2 * k)).take_while(move |&k| k < samples);
    powers.chain((samples > 0).then_some(samples))
}

fn samples(tasks: &[TaskOutcome]) -> usize {
    tasks.iter().map(|task| task.samples.len()).min().unwrap_or(0)
}

/// Returns the numbers of votes to count; none if a task's answers can't be counted.
fn votes<'a>(
    tasks: impl IntoIterator<Item = &'a TaskOutcome>,
    samples: usize,
) -> impl Iterator<Item = usize> {
    let none = tasks.into_iter().any(|task| task.uncounted);
    ks(samples).filter(move |_| !none)
}

fn by_task(tasks: &[TaskOutcome], value: impl Fn(&TaskOutcome) -> f64) -> Vec<f64> {
    tasks.iter().map(value).collect()
}

/// Summarises an evaluation. `k` goes up to the fewest samples that a task has.
pub fn summarize(tasks: &[TaskOutcome]) -> Summary {
    let samples = samples(tasks);
    let estimate = |value: &dyn Fn(&TaskOutcome) -> f64| Estimate::of(&by_task(tasks, value));
    let mut levels: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    let mut failures: BTreeMap<String, usize> = BTreeMap::new();
    for task in tasks {
        levels.entry(task.level).or_default().push(task.average());
        for failure in task.samples.iter().filter_map(|sample| sample.failure.as_ref()) {
            *failures.entry(failure.clone()).or_default() += 1;
        }
    }
    let all: usize = tasks.iter().map(|task| task.samples.len()).sum();
    let share = |(name, count): (String, usize)| (name, count as f64 / all as f64);
    let level = |(level, shares): (u32, Vec<f64>)| {
        (level, Level { tasks: shares.len(), average: Estimate::of(&shares) })
    };
    Summary {
        tasks: tasks.len(),
        samples,
        average: estimate(&TaskOutcome::average),
        pass: ks(samples).map(|k| (k, estimate(&|task| task.pass(k)))).collect(),
        majority: votes(tasks, samples).map(|k| (k, estimate(&|task| task.majority(k)))).collect(),
        levels: levels.into_iter().map(level).collect(),
        failures: failures.into_iter().map(share).collect(),
    }
}

/// Compares two evaluations on the tasks that both have: `b - a`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Tasks that both have.
    pub tasks: usize,
    /// Tasks on which `b` is right more often.
    pub better: usize,
    /// Tasks on which it is right less often.
    pub worse: usize,
    /// Difference of the shares of right samples.
    pub average: Estimate,
    /// Its paired t test over tasks; none of fewer than two tasks.
    pub test: Option<PairedT>,
    /// Differences of pass@k.
    pub pass: BTreeMap<usize, Estimate>,
    /// Differences of majority@k. Empty where answers can't be counted.
    pub majority: BTreeMap<usize, Estimate>,
}

/// Compares two evaluations task by task.
pub fn compare(a: &[TaskOutcome], b: &[TaskOutcome]) -> Comparison {
    let known: BTreeMap<&str, &TaskOutcome> = a.iter().map(|task| (task.task.as_str(), task)).collect();
    let pairs: Vec<(&TaskOutcome, &TaskOutcome)> =
        b.iter().filter_map(|task| Some((*known.get(task.task.as_str())?, task))).collect();
    let differences = |value: &dyn Fn(&TaskOutcome) -> f64| -> Vec<f64> {
        pairs.iter().map(|(a, b)| value(b) - value(a)).collect()
    };
    let (of_a, of_b): (Vec<f64>, Vec<f64>) = pairs.iter().map(|(a, b)| (a.average(), b.average())).unzip();
    let averages = differences(&TaskOutcome::average);
    let both = samples(a).min(samples(b));
    Comparison {
        tasks: pairs.len(),
        better: averages.iter().filter(|&&difference| difference > 0.0).count(),
        worse: averages.iter().filter(|&&difference| difference < 0.0).count(),
        average: Estimate::of(&averages),
        test: paired_t(&of_a, &of_b, CONFIDENCE),
        pass: ks(both).map(|k| (k, Estimate::of(&differences(&|task| task.pass(k))))).collect(),
        majority: votes(a.iter().chain(b), both)
            .map(|k| (k, Estimate::of(&differences(&|task| task.majority(k)))))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(answer: Option<&str>, vote: Option<&str>, failure: Option<&str>) -> SampleOutcome {
        let [answer, vote, failure] = [answer, vote, failure].map(|text| text.map(str::to_string));
        SampleOutcome { answer, vote, failure }
    }

    /// `+` is a right sample, `-` one without an answer, a letter a wrong answer.
    fn task(id: &str, level: u32, samples: &str) -> TaskOutcome {
        let sample = |mark: char| match mark {
            '+' => outcome(Some("right"), Some("right"), None),
            '-' => outcome(None, None, Some("no_answer")),
            letter => outcome(Some("another spelling"), Some(&letter.to_string()), Some("wrong_answer")),
        };
        let samples = samples.chars().map(sample).collect();
        TaskOutcome { task: id.into(), level, samples, uncounted: false }
    }

    #[test]
    fn an_evaluation_in_numbers() {
        let summary = summarize(&[task("a", 1, "++x"), task("b", 1, "xx+"), task("c", 2, "-xy")]);
        assert_eq!((summary.tasks, summary.samples), (3, 3));
        let close = |found: f64, expect: f64| assert!((found - expect).abs() < 1e-12, "{found} {expect}");
        close(summary.average.value, 1.0 / 3.0);
        assert_eq!(summary.pass.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
        close(summary.pass[&1].value, summary.average.value);
        close(summary.pass[&3].value, 2.0 / 3.0);
        // a: its right answer wins; b: the wrong one does; c: never right.
        close(summary.majority[&3].value, 1.0 / 3.0);
        close(summary.levels[&1].average.value, 0.5);
        assert_eq!(summary.levels[&2].average.interval, None, "of one task");
        close(summary.failures["wrong_answer"], 5.0 / 9.0);
        close(summary.failures["no_answer"], 1.0 / 9.0);
        let interval = summary.average.interval.unwrap();
        assert!(interval.low < 1.0 / 3.0 && interval.high > 1.0 / 3.0);
    }

    #[test]
    fn votes_are_counted_by_value_and_what_cannot_be_counted_has_no_majority() {
        let wrong = |answer: &str| outcome(Some(answer), Some("41"), Some("wrong_answer"));
        let samples = ["41", "41.0", "$41", "82/2", "41 apples"].map(wrong);
        let right = || outcome(Some("50"), Some("50"), None);
        let task = |samples: Vec<SampleOutcome>| TaskOutcome { samples, ..TaskOutcome::default() };
        let spelled = task([right(), right(), right()].into_iter().chain(samples).collect());
        assert_eq!(summarize(std::slice::from_ref(&spelled)).majority[&8].value, 0.0);
        let own = task(vec![outcome(Some("41"), None, Some("wrong")), wrong("41.0"), right()]);
        assert_eq!(summarize(&[own]).majority[&3].value, 0.0, "an answer is its own vote");
        let programs = TaskOutcome { uncounted: true, ..task(vec![right(), right()]) };
        let summary = summarize(std::slice::from_ref(&programs));
        assert!(summary.majority.is_empty() && summary.pass.len() == 2, "{summary:?}");
        assert!(compare(&[spelled], &[programs]).majority.is_empty());
    }

    #[test]
    fn only_tasks_of_both_are_compared_and_a_model_equals_itself() {
        let a = [task("a", 1, "+x"), task("b", 1, "xx"), task("only a", 1, "++")];
        let b = [task("b", 1, "+x"), task("a", 1, "++"), task("only b", 1, "--")];
        let found = compare(&a, &b);
        assert_eq!((found.tasks, found.better, found.worse), (2, 2, 0));
        assert_eq!((found.average.value, found.pass[&2].value), (0.5, 0.5));
        let same = compare(&a, &a);
        assert_eq!((same.average.value, same.test.unwrap().p), (0.0, 1.0));
        let empty = compare(&a, &[]);
        assert_eq!((empty.tasks, empty.test), (0, None));
    }
}
