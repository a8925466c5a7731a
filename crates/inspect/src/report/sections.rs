//! Builds the blocks of a report.

use turnwise_run::{Evaluation, Metric, StepMetrics, TurnCredit, TurnMetrics};
use turnwise_stats::{Estimate, compare, holm, mean, mean_interval, paired_t, summarize};

use super::arms::{Arm, Member, differences, smooth};
use super::chart::{Chart, Series, number};
use super::document::{Block, Table, heads};
use super::rewards::{names, rewards};
use crate::curves::{CURVES, Curve, points, reward};

/// Confidence of every interval.
const CONFIDENCE: f64 = 0.95;

/// Describes a held-out number: its name, whether it is a share, and its field.
type HeldOut = (&'static str, bool, fn(&Evaluation) -> f64);

/// Names the mean grade, which is shown where some trajectory has a grade between 0 and 1.
const GRADE: &str = "mean grade";

/// Lists the held-out numbers, accuracy first.
const HELD_OUT: [HeldOut; 5] = [
    ("accuracy", true, |e| e.accuracy),
    (GRADE, false, |e| e.mean_acc.unwrap_or(e.accuracy)),
    ("calls that succeed", true, |e| e.tool_success),
    ("turns that break the format", true, |e| e.violations),
    ("turns", false, |e| e.turns),
];

pub(super) fn title(arms: &[Arm<'_>]) -> String {
    let runs: usize = arms.iter().map(|arm| arm.members.len()).sum();
    match (runs, arms.len()) {
        (1, _) => format!("Run {}", arms[0].members[0].run.name()),
        (_, 1) => format!("{runs} seeds of {}", arms[0].members[0].run.name()),
        _ => format!("{runs} runs of {} settings", arms.len()),
    }
}

pub(super) fn blocks(arms: &[Arm<'_>]) -> Vec<Block> {
    let mut blocks = vec![Block::Table(runs(arms))];
    blocks.extend(held_out(arms));
    blocks.extend(compared(arms));
    blocks.extend(curves(arms));
    blocks.extend(turns(arms));
    blocks.extend(rewards(arms));
    blocks.extend(settings(arms));
    blocks
}

fn runs(arms: &[Arm<'_>]) -> Table {
    let row = |arm: &Arm<'_>, member: &Member<'_>| {
        let env = &member.environment;
        let short = |text: &str| text.chars().take(12).collect::<String>();
        let stated = |text: &str| if text.is_empty() { "–".to_string() } else { short(text) };
        let known = |text: &Option<String>| text.as_deref().map_or("–".to_string(), short);
        vec![
            member.run.name().to_string(),
            arm.label.clone(),
            member.seed(),
            member.metrics.len().to_string(),
            stated(&env.version),
            stated(&env.device),
            known(&env.program_sha256),
            known(&env.git_commit),
        ]
    };
    let rows = arms.iter().flat_map(|arm| arm.members.iter().map(move |member| row(arm, member)));
    Table {
        heads: heads(&["run", "setting", "seed", "steps", "turnwise", "device", "program", "commit"]),
        rows: rows.collect(),
    }
}

fn shown(value: f64, share: bool) -> String {
    if share { format!("{:.1} %", 100.0 * value) } else { format!("{value:.2}") }
}

/// Formats a mean over seeds, with its interval if there are several.
fn over_seeds(values: &[f64], share: bool) -> String {
    let middle = shown(mean(values), share);
    match mean_interval(values, CONFIDENCE) {
        _ if values.is_empty() => "–".into(),
        None => middle,
        Some(interval) => format!("{middle} ± {}", shown((interval.high - interval.low) / 2.0, share)),
    }
}

fn held_out(arms: &[Arm<'_>]) -> Vec<Block> {
    let mut rows = Vec::new();
    for arm in arms {
        for (at, (name, share, number)) in HELD_OUT.into_iter().enumerate() {
            let evaluations = arm.members.iter().filter_map(|member| member.evaluation.as_ref());
            let pairs: Vec<(f64, f64)> =
                evaluations.map(|found| (number(&found.before), number(&found.after))).collect();
            if pairs.is_empty() || (name == GRADE && !graded(arm)) {
                continue;
            }
            let (before, after): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
            let gains: Vec<f64> = pairs.iter().map(|(before, after)| after - before).collect();
            let over_tasks = if at == 0 { over_tasks(arm) } else { None };
            let cells = over_tasks.unwrap_or_else(|| [&before, &after, &gains].map(|v| over_seeds(v, share)));
            let name = if at == 0 { accuracy(arm) } else { name.into() };
            rows.push(std::iter::once(format!("{}: {name}", arm.label)).chain(cells).collect());
        }
    }
    if rows.is_empty() {
        return vec![Block::Text("No run has been evaluated before and after.".into())];
    }
    let mut blocks = vec![Block::Heading("Held-out tasks, before and after".into())];
    if arms.iter().any(|arm| arm.members.len() > 1) {
        blocks.push(Block::Text("Means over seeds; ± is half of the 95 % t interval of the mean.".into()));
    }
    if arms.iter().any(|arm| over_tasks(arm).is_some()) {
        blocks.push(Block::Text("In brackets: 95 % bootstrap intervals over tasks.".into()));
    }
    blocks.push(Block::Table(Table { heads: heads(&["", "before", "after", "change"]), rows }));
    blocks
}

/// Returns the evaluations of an arm, before and after.
fn evaluations<'a>(arm: &'a Arm<'_>) -> impl Iterator<Item = &'a Evaluation> {
    let members = arm.members.iter().filter_map(|member| member.evaluation.as_ref());
    members.flat_map(|found| [&found.before, &found.after])
}

/// Returns whether an evaluation of the arm has grades between 0 and 1.
fn graded(arm: &Arm<'_>) -> bool {
    evaluations(arm).any(|found| found.mean_acc.is_some())
}

/// Names the accuracy of an arm, with the grade from which it counts a trajectory as right.
fn accuracy(arm: &Arm<'_>) -> String {
    let rule = evaluations(arm).find_map(Evaluation::rule);
    rule.map_or_else(|| "accuracy".into(), |rule| format!("accuracy ({rule})"))
}

/// Formats accuracy before and after, and its change, with intervals over tasks. None unless the arm is one
/// run with outcomes.
fn over_tasks(arm: &Arm<'_>) -> Option<[String; 3]> {
    let [member] = arm.members.as_slice() else { return None };
    let evaluation = member.evaluation.as_ref()?;
    let (before, after) = (&evaluation.before.outcomes, &evaluation.after.outcomes);
    if before.is_empty() || after.is_empty() {
        return None;
    }
    let text = |estimate: Estimate| {
        let interval = estimate.interval.map(|i| format!(" ({:.1} – {:.1})", 100.0 * i.low, 100.0 * i.high));
        shown(estimate.value, true) + &interval.unwrap_or_default()
    };
    let change = compare(before, after).average;
    Some([text(summarize(before).average), text(summarize(after).average), text(change)])
}

/// Compares every arm with the first one, on the seeds that both have.
fn compared(arms: &[Arm<'_>]) -> Vec<Block> {
    let Some((first, others)) = arms.split_first() else { return Vec::new() };
    let after = |member: &Member<'_>| member.evaluation.as_ref().map(|found| found.after.accuracy);
    let tests: Vec<_> = others
        .iter()
        .filter_map(|other| {
            let pairs = first.members.iter().filter_map(|a| {
                let b = other.members.iter().find(|b| b.seed() == a.seed())?;
                Some((after(a)?, after(b)?))
            });
            let (a, b): (Vec<f64>, Vec<f64>) = pairs.unzip();
            Some((other, paired_t(&a, &b, CONFIDENCE)?))
        })
        .collect();
    if tests.is_empty() {
        return Vec::new();
    }
    let adjusted = holm(&tests.iter().map(|(_, test)| test.p).collect::<Vec<_>>());
    let points = |value: f64| format!("{:+.1}", 100.0 * value);
    let row = |((other, test), adjusted): (&(&Arm<'_>, turnwise_stats::PairedT), f64)| {
        vec![
            other.label.clone(),
            test.pairs.to_string(),
            points(test.difference),
            format!("{} to {}", points(test.interval.low), points(test.interval.high)),
            format!("{:.4}", test.p),
            format!("{adjusted:.4}"),
        ]
    };
    vec![
        Block::Heading(format!("Held-out accuracy against {}", first.label)),
        Block::Text(
            "Differences in percentage points after training, paired by seed: t test, two-sided, with 95 % intervals, \
             and p-values by Holm for all comparisons together."
                .into(),
        ),
        Block::Table(Table {
            heads: heads(&["setting", "pairs", "difference", "95 %", "p", "p (Holm)"]),
            rows: tests.iter().zip(adjusted).map(row).collect(),
        }),
    ]
}

fn curves(arms: &[Arm<'_>]) -> Vec<Block> {
    let mut blocks = vec![Block::Heading("Curves".into())];
    if arms.iter().any(|arm| arm.members.len() > 1) {
        let text = "Thick: mean over seeds of the moving mean over five steps. The band is from the lowest to the \
                    highest seed.";
        blocks.push(Block::Text(text.into()));
    }
    for Curve { name, title, percent, metric } in CURVES {
        let Some(title) = title else { continue };
        let series: Vec<Series> =
            arms.iter().filter_map(|arm| series(arm, &metric, arms.len() > 1)).collect();
        if !series.is_empty() {
            let chart = Chart { title: title.into(), percent, series, marks: Vec::new() };
            blocks.push(Block::Picture { name: name.replace(' ', "-"), svg: chart.svg() });
        }
    }
    // Names are the environment's: files are numbered.
    for (at, name) in names(arms).iter().enumerate() {
        let mean = |step: &StepMetrics| reward(step, name);
        let series = arms.iter().filter_map(|arm| series(arm, &mean, arms.len() > 1)).collect();
        let chart = Chart {
            title: format!("Reward named {name} per trajectory"),
            percent: false,
            series,
            marks: Vec::new(),
        };
        blocks.push(Block::Picture { name: format!("reward-{}", at + 1), svg: chart.svg() });
    }
    blocks
}

/// Returns an arm's curve. A single run shows its raw values too.
fn series(arm: &Arm<'_>, metric: &dyn Fn(&StepMetrics) -> Metric, named: bool) -> Option<Series> {
    let label = if named { arm.label.clone() } else { String::new() };
    let mut lines: Vec<_> = arm.members.iter().map(|member| points(&member.metrics, metric)).collect();
    lines.retain(|line| !line.is_empty());
    if let [only] = lines.as_slice() {
        return Some(Series { label, smooth: smooth(only), raw: only.clone(), band: None });
    }
    let smoothed: Vec<_> = lines.iter().map(|line| smooth(line)).collect();
    // The mean ends where the first of the seeds ends, so running ones don't bend it.
    let steps = smoothed.iter().map(Vec::len).min().filter(|&steps| steps > 0)?;
    let (mut middle, mut band) = (Vec::new(), Vec::new());
    for i in 0..steps {
        let values: Vec<f64> = smoothed.iter().map(|line| line[i].1).collect();
        let step = smoothed[0][i].0;
        let (low, high) = (
            values.iter().copied().fold(f64::INFINITY, f64::min),
            values.iter().copied().fold(f64::MIN, f64::max),
        );
        middle.push((step, mean(&values)));
        band.push((step, low, high));
    }
    Some(Series { label, raw: Vec::new(), smooth: middle, band: Some(band) })
}

/// Describes turns at the end of training: means over the last tenth of the steps.
fn turns(arms: &[Arm<'_>]) -> Vec<Block> {
    let mut rows = Vec::new();
    for arm in arms {
        let mut by_turn: Vec<Vec<&TurnMetrics>> = Vec::new();
        for member in &arm.members {
            let last = (member.metrics.len() / 10).max(1);
            let lines = &member.metrics[member.metrics.len().saturating_sub(last)..];
            for (j, turn) in lines.iter().flat_map(|step| step.by_turn.iter().enumerate()) {
                by_turn.resize_with(by_turn.len().max(j + 1), Vec::new);
                by_turn[j].push(turn);
            }
        }
        rows.extend(by_turn.iter().enumerate().map(|(j, turns)| turn(arm, j, turns)));
    }
    if rows.is_empty() {
        return Vec::new();
    }
    let names = [
        "",
        "turns per step",
        "reward",
        "return",
        "advantage",
        "|advantage|",
        "malformed",
        "failed",
        "ratio",
    ];
    vec![
        Block::Heading("By turn, at the end of training".into()),
        Block::Text("Over the last tenth of the steps. Malformed and failed: calls per turn.".into()),
        Block::Table(Table { heads: heads(&names), rows }),
    ]
}

fn turn(arm: &Arm<'_>, j: usize, turns: &[&TurnMetrics]) -> Vec<String> {
    let all: f64 = turns.iter().map(|turn| turn.credit.turns as f64).sum();
    let per_turn = |sum: f64| format!("{:.3}", if all > 0.0 { sum / all } else { 0.0 });
    // A step is weighted by its number of such turns.
    let credit = |mean: fn(&TurnCredit) -> Metric| {
        let weighted =
            |turn: &&TurnMetrics| turn.credit.turns as f64 * mean(&turn.credit).value().unwrap_or_default();
        per_turn(turns.iter().map(weighted).sum())
    };
    let calls = |count: fn(&TurnMetrics) -> usize| per_turn(turns.iter().map(|t| count(t) as f64).sum());
    // None where nothing of the turn was trained on.
    let ratios: Vec<f64> = turns.iter().filter_map(|turn| turn.loss?.ratio.value()).collect();
    let ratio = ratios.iter().sum::<f64>() / ratios.len().max(1) as f64;
    vec![
        format!("{}: turn {}", arm.label, j + 1),
        number(all / turns.len() as f64),
        credit(|credit| credit.reward),
        credit(|credit| credit.returns),
        credit(|credit| credit.advantage),
        credit(|credit| credit.abs_advantage),
        calls(|turn| turn.calls.malformed),
        calls(|turn| turn.calls.error + turn.calls.stopped),
        format!("{ratio:.4}"),
    ]
}

fn settings(arms: &[Arm<'_>]) -> Vec<Block> {
    let configs: Vec<_> = arms.iter().map(|arm| &arm.members[0].config).collect();
    let (title, keys) = if arms.len() > 1 {
        ("Settings that differ", differences(&configs))
    } else {
        ("Settings", configs[0].keys().cloned().collect())
    };
    let names: Vec<&str> = std::iter::once("").chain(arms.iter().map(|arm| arm.label.as_str())).collect();
    let value = |key: &String, config: &&std::collections::BTreeMap<String, String>| {
        config.get(key).cloned().unwrap_or_else(|| "–".into())
    };
    let row = |key: &String| {
        let values = configs.iter().map(|config| value(key, config));
        std::iter::once(key.clone()).chain(values).collect()
    };
    vec![
        Block::Heading(title.into()),
        Block::Table(Table { heads: heads(&names), rows: keys.iter().map(row).collect() }),
    ]
}
