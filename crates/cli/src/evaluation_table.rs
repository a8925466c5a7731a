//! Formats evaluations side by side.

use std::collections::BTreeSet;

use turnwise_run::Evaluation;
use turnwise_stats::{Comparison, Estimate, Summary};

use crate::terminal;

/// Writes a table to stderr: one column per evaluation.
pub(crate) fn write(columns: &[(&str, &Evaluation)]) {
    print(&table(columns));
}

/// Writes everything about evaluations to stderr: intervals, pass@k, majority@k, levels, failures,
/// differences.
pub(crate) fn write_in_full(columns: &[(&str, &Evaluation, &Summary)], comparison: Option<&Comparison>) {
    print(&full_table(columns, comparison));
}

fn print(text: &str) {
    terminal::conclude(text);
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Formats the mean grade. An evaluation whose trajectories are all right or wrong has its accuracy for one.
fn grade(evaluation: &Evaluation) -> String {
    format!("{:.3}", evaluation.mean_acc.unwrap_or(evaluation.accuracy))
}

/// Returns a name with the rule by which grades are right, if grades were judged.
fn ruled<'e>(name: &str, mut evaluations: impl Iterator<Item = &'e Evaluation>) -> String {
    evaluations.find_map(Evaluation::rule).map_or_else(|| name.into(), |rule| format!("{name} ({rule})"))
}

fn table(columns: &[(&str, &Evaluation)]) -> String {
    let accuracy = ruled("held-out accuracy", columns.iter().map(|(_, e)| *e));
    let width = 24.max(accuracy.chars().count() + 1);
    let row = |name: &str, value: &dyn Fn(&Evaluation) -> String| {
        let values: Vec<String> = columns.iter().map(|(_, e)| format!("{:>12}", value(e))).collect();
        format!("{name:<width$}{}\n", values.concat())
    };
    // Without trajectories nothing was measured.
    let measured = |name: &str, value: &dyn Fn(&Evaluation) -> String| {
        row(name, &|e| if e.trajectories == 0 { "–".into() } else { value(e) })
    };
    let names: Vec<String> = columns.iter().map(|(name, _)| format!("{name:>12}")).collect();
    let mut text = format!("{:<width$}{}\n", "", names.concat());
    text += &measured(&accuracy, &|e| percent(e.accuracy));
    if columns.iter().any(|(_, e)| e.mean_acc.is_some()) {
        text += &measured("mean grade", &grade);
    }
    text += &measured("tool calls that succeed", &|e| percent(e.tool_success));
    text += &measured("format violations", &|e| percent(e.violations));
    text += &measured("turns", &|e| format!("{:.2}", e.turns));
    text += &row("trajectories", &|e| e.trajectories.to_string());
    if columns.iter().any(|(_, e)| e.rollouts_lost > 0) {
        text += &row("rollouts lost", &|e| e.rollouts_lost.to_string());
    }
    if columns.iter().any(|(_, e)| e.env_faults > 0) {
        text += &row("environment faults", &|e| e.env_faults.to_string());
    }
    text
}

/// Formats a share with its interval, as `58.6 (52.1 – 64.8) %`.
fn with_interval(estimate: &Estimate) -> String {
    match estimate.interval {
        Some(interval) => {
            format!(
                "{:.1} ({:.1} – {:.1}) %",
                100.0 * estimate.value,
                100.0 * interval.low,
                100.0 * interval.high
            )
        }
        None => percent(estimate.value),
    }
}

fn full_table(columns: &[(&str, &Evaluation, &Summary)], comparison: Option<&Comparison>) -> String {
    let line = |name: &str, cells: Vec<String>| {
        let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>24}")).collect();
        format!("{name:<36}{}\n", cells.concat())
    };
    let all: Vec<&Summary> = columns.iter().map(|(.., summary)| *summary).collect();
    let each = |value: &dyn Fn(&Summary) -> Option<String>| -> Vec<String> {
        all.iter().map(|summary| value(summary).unwrap_or_else(|| "–".into())).collect()
    };
    let evaluations = |value: &dyn Fn(&Evaluation) -> String| -> Vec<String> {
        columns.iter().map(|(_, e, _)| value(e)).collect()
    };
    let keys =
        |of: &dyn Fn(&Summary) -> Vec<usize>| -> BTreeSet<usize> { all.iter().flat_map(|s| of(s)).collect() };
    let mut text = line("", columns.iter().map(|(name, ..)| (*name).to_string()).collect());
    text += &line("tasks × samples", each(&|s| Some(format!("{} × {}", s.tasks, s.samples))));
    let ruled = |name: &str| ruled(name, columns.iter().map(|(_, e, _)| *e));
    text += &line(&ruled("right"), each(&|s| Some(with_interval(&s.average))));
    // At k = 1 both are the average.
    for k in keys(&|s| s.pass.keys().copied().collect()).into_iter().filter(|&k| k > 1) {
        text += &line(&ruled(&format!("pass@{k}")), each(&|s| s.pass.get(&k).map(with_interval)));
    }
    for k in keys(&|s| s.majority.keys().copied().collect()).into_iter().filter(|&k| k > 1) {
        text += &line(&ruled(&format!("majority@{k}")), each(&|s| s.majority.get(&k).map(with_interval)));
    }
    if columns.iter().any(|(_, e, _)| e.mean_acc.is_some()) {
        text += &line("mean grade", evaluations(&grade));
    }
    text += &line("tool calls that succeed", evaluations(&|e| percent(e.tool_success)));
    text += &line("format violations", evaluations(&|e| percent(e.violations)));
    text += &line("turns", evaluations(&|e| format!("{:.2}", e.turns)));
    if columns.iter().any(|(_, e, _)| e.rollouts_lost > 0) {
        text += &line("rollouts lost", evaluations(&|e| e.rollouts_lost.to_string()));
    }
    if columns.iter().any(|(_, e, _)| e.env_faults > 0) {
        text += &line("environment faults", evaluations(&|e| e.env_faults.to_string()));
    }
    for level in all.iter().flat_map(|s| s.levels.keys().copied()).collect::<BTreeSet<u32>>() {
        let cell = |s: &Summary| s.levels.get(&level).map(|level| with_interval(&level.average));
        text += &line(&format!("level {level}"), each(&cell));
    }
    for failure in all.iter().flat_map(|s| s.failures.keys()).collect::<BTreeSet<&String>>() {
        let cell = |s: &Summary| Some(percent(s.failures.get(failure).copied().unwrap_or_default()));
        text += &line(&failure.replace('_', " "), each(&cell));
    }
    text + &comparison.map(differences).unwrap_or_default()
}

/// Describes the difference of two models in words.
fn differences(comparison: &Comparison) -> String {
    let p =
        comparison.test.map(|test| format!(", p = {:.4} (paired t over tasks)", test.p)).unwrap_or_default();
    format!(
        "model - against: {} over {} tasks{p}; better on {}, worse on {}\n",
        with_interval(&comparison.average),
        comparison.tasks,
        comparison.better,
        comparison.worse
    )
}

#[cfg(test)]
mod tests {
    use turnwise_stats::{SampleOutcome, TaskOutcome, compare, summarize};

    use super::*;

    #[test]
    fn evaluations_stand_side_by_side() {
        let before = Evaluation { accuracy: 0.25, turns: 3.0, trajectories: 256, ..Evaluation::default() };
        let after = Evaluation { accuracy: 0.75, tool_success: 1.0, ..before.clone() };
        let text = table(&[("before", &before), ("after", &after)]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "                              before       after");
        assert_eq!(lines[1], "held-out accuracy             25.0 %      75.0 %");
        assert_eq!(lines[4], "turns                           3.00        3.00");
        let text = table(&[("before", &Evaluation::default()), ("after", &after)]);
        let line = format!("held-out accuracy{:>19}{:>12}", "–", "75.0 %");
        assert_eq!(text.lines().nth(1), Some(line.as_str()), "nothing was measured before");
        let graded = Evaluation { mean_acc: Some(0.75), ..after };
        let text = table(&[("before", &before), ("after", &graded)]);
        assert_eq!(text.lines().nth(2), Some("mean grade                     0.250       0.750"), "{text}");
        let ruled = Evaluation { correct_at: Some(0.5), ..graded };
        let text = table(&[("before", &before), ("after", &ruled)]);
        assert_eq!(
            text.lines().nth(1),
            Some("held-out accuracy (acc ≥ 0.5)       25.0 %      75.0 %"),
            "{text}"
        );
        assert_eq!(
            text.lines().nth(2),
            Some("mean grade                           0.250       0.750"),
            "{text}"
        );
    }

    #[test]
    fn the_full_table_has_every_number_once() {
        let sample = |right: bool| SampleOutcome {
            answer: Some("7".into()),
            vote: None,
            failure: (!right).then(|| "wrong_answer".to_string()),
        };
        let task = |id: &str, right: &[bool]| TaskOutcome {
            task: id.into(),
            level: 2,
            samples: right.iter().map(|&right| sample(right)).collect(),
            uncounted: false,
        };
        let tasks = vec![task("a", &[true, false]), task("b", &[true, true]), task("c", &[false, false])];
        let evaluation = Evaluation { outcomes: tasks.clone(), ..Evaluation::default() };
        let summary = summarize(&tasks);
        let columns = [("model", &evaluation, &summary), ("against", &evaluation, &summary)];
        let ruled = Evaluation { mean_acc: Some(0.5), correct_at: Some(0.75), ..evaluation.clone() };
        let graded = full_table(&[("model", &ruled, &summary)], None);
        for name in ["right (acc ≥ 0.75) ", "pass@2 (acc ≥ 0.75) ", "majority@2 (acc ≥ 0.75) ", "mean grade "]
        {
            assert!(graded.lines().any(|line| line.starts_with(name)), "{name}\n{graded}");
        }
        let text = full_table(&columns, Some(&compare(&tasks, &tasks)));
        for name in ["tasks × samples", "right", "pass@2", "majority@2", "level 2", "wrong answer"] {
            assert_eq!(
                text.lines().filter(|line| line.starts_with(&format!("{name} "))).count(),
                1,
                "{name}\n{text}"
            );
        }
        assert!(text.contains("66.7 (0.0 – 100.0) %"), "{text}");
        assert!(text.ends_with("model - against: 0.0 (0.0 – 0.0) % over 3 tasks, p = 1.0000 (paired t over tasks); better on 0, worse on 0\n"), "{text}");
    }
}
