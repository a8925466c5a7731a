//! Tables of means: what each method came to, seed by seed, what it cost, and where it may hurt.

use std::collections::BTreeSet;

use turnwise_stats::{mean, mean_interval};

use super::MAIN;
use crate::plan::COLD_START;
use crate::record::Record;

/// Markdown.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let mut out = line(heads.to_vec()) + &format!("|{}\n", "---|".repeat(heads.len()));
    for row in rows {
        out += &line(row.iter().map(String::as_str).collect());
    }
    out
}

/// A share as percentage points with its sign.
pub(super) fn points(share: f64) -> String {
    let value = format!("{:.1}", 100.0 * share.abs());
    let sign = if value == "0.0" {
        ""
    } else if share < 0.0 {
        "−"
    } else {
        "+"
    };
    format!("{sign}{value}")
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Mean over the last tenth of a run's updates.
fn end(record: &Record, key: &str) -> f64 {
    let values = record.curve.get(key).map_or(&[][..], Vec::as_slice);
    mean(&values[values.len() - values.len().div_ceil(10)..])
}

/// Held-out results of one family, by method.
pub(super) fn methods(records: &[&Record]) -> String {
    let mut rows = Vec::new();
    for method in MAIN {
        let of: Vec<&&Record> = records.iter().filter(|record| record.method == method).collect();
        if of.is_empty() {
            continue;
        }
        let seeds: BTreeSet<u64> = of.iter().map(|record| record.seed).collect();
        let cold =
            records.iter().filter(|record| record.method == COLD_START && seeds.contains(&record.seed));
        let before: Vec<f64> = cold.map(|record| record.held_out.accuracy).collect();
        let all =
            |value: &dyn Fn(&Record) -> f64| of.iter().map(|record| value(record)).collect::<Vec<f64>>();
        let after = all(&|record| record.held_out.accuracy);
        let interval = mean_interval(&after, 0.95);
        let spread =
            interval.map_or(String::new(), |i| format!(" ({} … {})", percent(i.low), percent(i.high)));
        rows.push(vec![
            format!("`{method}`"),
            of.len().to_string(),
            percent(mean(&before)),
            percent(mean(&after)) + &spread,
            percent(mean(&all(&|record| mean(record.curve.get("accuracy").map_or(&[][..], Vec::as_slice))))),
            format!("{:.2}", mean(&all(&|record| record.held_out.turns))),
            percent(mean(&all(&|record| record.held_out.violations))),
            percent(mean(&all(&|record| record.held_out.tool_success))),
        ]);
    }
    let heads = [
        "method",
        "seeds",
        "cold start",
        "held out, avg@8 (95 %)",
        "area",
        "turns",
        "violations",
        "calls that succeed",
    ];
    table(&heads, &rows)
        + "\nThe area is the mean share of right training rollouts over all updates. Intervals are t intervals over seeds.\n"
}

/// Held-out results seed by seed.
pub(super) fn by_seed(records: &[&Record]) -> String {
    let seeds: BTreeSet<u64> = records.iter().map(|record| record.seed).collect();
    let methods = [COLD_START, MAIN[0], MAIN[1], MAIN[2]];
    let cell = |seed: u64, method: &str| {
        let record = records.iter().find(|record| record.seed == seed && record.method == method);
        record.map_or("–".into(), |record| format!("{:.1}", 100.0 * record.held_out.accuracy))
    };
    let row = |seed: u64| {
        let mut row = vec![seed.to_string()];
        row.extend(methods.map(|method| cell(seed, method)));
        row
    };
    table(&["seed", "cold start", MAIN[0], MAIN[1], MAIN[2]], &seeds.into_iter().map(row).collect::<Vec<_>>())
}

/// The share of a step's time between rewards and advantages, GTPO without shaping among them.
pub(super) fn overhead(main: &[Record], controls: &[Record]) -> String {
    let mut rows = Vec::new();
    for family in super::families(main) {
        for method in MAIN.into_iter().chain(["no_shaping"]) {
            let all = main.iter().chain(controls);
            let of: Vec<&Record> =
                all.filter(|record| record.family == family && record.method == method).collect();
            let sum = |value: &dyn Fn(&Record) -> f64| of.iter().map(|record| value(record)).sum::<f64>();
            let total = sum(&|record| record.seconds.total());
            if total > 0.0 {
                let share = |value: &dyn Fn(&Record) -> f64| format!("{:.3} %", 100.0 * sum(value) / total);
                rows.push(vec![
                    family.clone(),
                    method.to_string(),
                    share(&|record| record.seconds.score),
                    share(&|record| record.seconds.rollout),
                    share(&|record| record.seconds.train),
                ]);
            }
        }
    }
    table(&["family", "method", "credit", "rollouts", "updates"], &rows)
}

/// What may go wrong with turn-level credit, over the last tenth of updates.
pub(super) fn shares(records: &[Record]) -> String {
    let keys = ["turns", "violations", "groups_all_right", "groups_all_wrong", "dummy_first_call", "entropy"];
    let mut rows = Vec::new();
    for family in super::families(records) {
        for method in MAIN {
            let of: Vec<&Record> =
                records.iter().filter(|record| record.family == family && record.method == method).collect();
            if of.is_empty() {
                continue;
            }
            let value = |key: &str| mean(&of.iter().map(|record| end(record, key)).collect::<Vec<_>>());
            let text = |key: &str| match key {
                "turns" | "entropy" => format!("{:.3}", value(key)),
                _ => percent(value(key)),
            };
            let mut row = vec![family.clone(), format!("`{method}`")];
            row.extend(keys.map(text));
            rows.push(row);
        }
    }
    let heads = [
        "family",
        "method",
        "turns",
        "violations",
        "groups all right",
        "groups all wrong",
        "dummy first call",
        "entropy (nats)",
    ];
    table(&heads, &rows)
}
