//! Formats a diagnosis of credit as tables and as a picture.

use turnwise_diagnosis::{Diagnosis, EstimatorReport};
use turnwise_inspect::report::{Forest, Panel};
use turnwise_stats::Estimate;

use crate::terminal;

/// Number of turn indices in the table; the JSON has all.
const TURNS: usize = 6;

/// Writes a diagnosis to stderr.
pub(crate) fn write(found: &Diagnosis) {
    terminal::conclude(&table(found));
}

fn percent(estimate: Option<Estimate>) -> String {
    with_interval(estimate, |value| format!("{:.1}", 100.0 * value), " %")
}

fn plain(estimate: Option<Estimate>) -> String {
    with_interval(estimate, |value| format!("{value:.2}"), "")
}

fn small(estimate: Option<Estimate>) -> String {
    with_interval(estimate, |value| format!("{value:.4}"), "")
}

fn with_interval(estimate: Option<Estimate>, number: impl Fn(f64) -> String, unit: &str) -> String {
    let Some(estimate) = estimate else { return "–".into() };
    let held = estimate
        .interval
        .map_or(String::new(), |held| format!(" ({} – {})", number(held.low), number(held.high)));
    format!("{}{held}{unit}", number(estimate.value))
}

fn table(found: &Diagnosis) -> String {
    let line = |name: &str, value: String| format!("{name:<40}{value}\n");
    let turns = found.turns as f64 / (found.trajectories as f64).max(1.0);
    let reference = &found.reference;
    let share = |part: usize| format!("{:.1} %", 100.0 * part as f64 / (reference.turns as f64).max(1.0));
    let mut text =
        line("tasks × trajectories", format!("{} × {}", found.tasks, found.trajectories / found.tasks));
    text += &line("turns per trajectory", format!("{turns:.2}"));
    text += &line("right", percent(found.right));
    let (least, most) = (found.smallest_subgroup, found.subgroup);
    let sizes = if least == most { most.to_string() } else { format!("{least} to {most}") };
    text += &line(&format!("subgroups of {sizes}"), found.subgroups.to_string());
    text += &line("  all right", percent(found.solved));
    text += &line("  all wrong", percent(found.hopeless));
    text += &line(&format!("later turns in a shared state ({})", found.states), percent(found.shared_states));
    text += &line("turns with a reference", share(reference.with_reference));
    text += &line("  before the last turn", share(reference.before_last));
    text += &line("decision density", percent(found.decision_density));
    if found.sketched > 0 {
        text += &line("trajectories with gradients", found.sketched.to_string());
    }
    text += &estimators(found);
    text += &weights(found);
    for note in &found.notes {
        text += note;
        text.push('\n');
    }
    text
}

/// Formats a line of a table whose first column has a width.
fn row(name: &str, width: usize, cells: &[String]) -> String {
    format!("{name:<width$}{}\n", cells.concat().trim_end())
}

type Column = (&'static str, fn(&EstimatorReport) -> String);

fn estimators(found: &Diagnosis) -> String {
    let mut columns: Vec<Column> = vec![
        ("fidelity", |e| plain(e.fidelity)),
        ("before the last turn", |e| plain(e.fidelity_before_last)),
        ("weight: solved", |e| percent(e.weight.solved)),
        ("weight: hopeless", |e| percent(e.weight.hopeless)),
    ];
    if found.sketched > 0 {
        columns.push(("signal to noise", |e| small(e.signal_to_noise)));
        columns.push(("alignment", |e| plain(e.alignment)));
    }
    let width = found.estimators.iter().map(|e| e.name.chars().count()).max().unwrap_or(0).max(9) + 2;
    let heads: Vec<String> = columns.iter().map(|(head, _)| format!("{head:<25}")).collect();
    let mut text = format!("\n{}", row("estimator", width, &heads));
    for estimator in &found.estimators {
        let cells: Vec<String> = columns.iter().map(|(_, cell)| format!("{:<25}", cell(estimator))).collect();
        text += &row(&estimator.name, width, &cells);
    }
    text
}

/// Formats the weight by turn index: its share, and in brackets the shares in solved and hopeless subgroups.
fn weights(found: &Diagnosis) -> String {
    let turns = found.estimators.iter().map(|e| e.weight.by_turn.len()).max().unwrap_or(0).min(TURNS);
    let width = found.estimators.iter().map(|e| e.name.chars().count()).max().unwrap_or(0).max(9) + 2;
    let heads: Vec<String> = (1..=turns).map(|turn| format!("{:<18}", format!("turn {turn}"))).collect();
    let mut text = format!(
        "\nshare of the weight (solved + hopeless), %\n{:<width$}{}\n",
        "estimator",
        heads.concat().trim_end()
    );
    for estimator in &found.estimators {
        let cell = |turn: usize| {
            let of = |share: Option<Estimate>| {
                share.map_or("–".into(), |share| format!("{:.1}", 100.0 * share.value))
            };
            let shares = estimator.weight.by_turn.get(turn);
            let shares =
                shares.map(|at| format!("{} ({} + {})", of(at.share), of(at.solved), of(at.hopeless)));
            format!("{:<18}", shares.unwrap_or_else(|| "–".into()))
        };
        let cells: Vec<String> = (0..turns).map(cell).collect();
        text += &row(&estimator.name, width, &cells);
    }
    text + "\n"
}

/// Draws a diagnosis as an SVG. `title` names the rollouts.
pub(crate) fn picture(title: &str, found: &Diagnosis) -> String {
    let panel = |title: &str, of: &dyn Fn(&EstimatorReport) -> Option<Estimate>| Panel {
        title: title.into(),
        rows: found.estimators.iter().map(|e| (e.name.clone(), of(e))).collect(),
    };
    let mut panels = vec![
        panel("correlation of each turn's credit with its reference", &|e| e.fidelity),
        panel("the same without last turns", &|e| e.fidelity_before_last),
        panel("share of the weight in solved subgroups", &|e| e.weight.solved),
        panel("share of the weight in hopeless subgroups", &|e| e.weight.hopeless),
    ];
    if found.sketched > 0 {
        panels.push(panel("signal to noise of the gradient of a subgroup", &|e| e.signal_to_noise));
        panels.push(panel("cosine with the gradient of the success rate", &|e| e.alignment));
    }
    Forest { title: format!("{title}: credit by estimator, 95 % intervals over tasks"), panels, axis: None }
        .svg()
}
