//! Writes tables of means: the results of each method, and seed by seed.

use turnwise_stats::{mean, mean_interval};

use super::runs::Runs;
use crate::record::Record;

/// Returns a table in Markdown.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let mut out = line(heads.to_vec()) + &format!("|{}\n", "---|".repeat(heads.len()));
    for row in rows {
        out += &line(row.iter().map(String::as_str).collect());
    }
    out
}

/// Returns a share as percentage points with its sign.
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

pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Holds a value of each run, and their mean.
pub(super) fn mean_of(runs: &[&Record], value: impl Fn(&Record) -> f64) -> f64 {
    mean(&runs.iter().map(|record| value(record)).collect::<Vec<_>>())
}

/// Writes held-out results of one family, by method, below the cold starts.
pub(super) fn methods(runs: &Runs, family: &str) -> String {
    let named = std::iter::once(("cold start".to_string(), runs.cold(family)));
    let trained = runs.methods.iter().map(|method| (format!("`{method}`"), runs.get(family, method)));
    let row = |(name, of): (String, Vec<&Record>)| {
        let accuracy: Vec<f64> = of.iter().map(|record| record.held_out.accuracy).collect();
        let spread = mean_interval(&accuracy, 0.95)
            .map_or(String::new(), |i| format!(" ({} … {})", percent(i.low), percent(i.high)));
        let area = |record: &Record| record.curve.get("accuracy").map_or(f64::NAN, |curve| mean(curve));
        let area = mean_of(&of, area);
        vec![
            name,
            of.len().to_string(),
            percent(mean(&accuracy)) + &spread,
            if area.is_nan() { "–".into() } else { percent(area) },
            format!("{:.2}", mean_of(&of, |record| record.held_out.turns)),
            percent(mean_of(&of, |record| record.held_out.violations)),
            percent(mean_of(&of, |record| record.held_out.tool_success)),
        ]
    };
    let rows: Vec<Vec<String>> = named.chain(trained).map(row).collect();
    table(
        &["method", "seeds", "held out, avg@8 (95 %)", "area", "turns", "violations", "calls that succeed"],
        &rows,
    )
}

/// Writes held-out results seed by seed, in per cent.
pub(super) fn by_seed(runs: &Runs, family: &str) -> String {
    let columns: Vec<Vec<&Record>> = std::iter::once(runs.cold(family))
        .chain(runs.methods.iter().map(|method| runs.get(family, method)))
        .collect();
    let row = |(at, seed): (usize, u64)| {
        let cells = columns.iter().map(|of| format!("{:.1}", 100.0 * of[at].held_out.accuracy));
        std::iter::once(seed.to_string()).chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = runs.seeds(family).into_iter().enumerate().map(row).collect();
    let heads: Vec<&str> =
        ["seed", "cold start"].into_iter().chain(runs.methods.iter().map(String::as_str)).collect();
    table(&heads, &rows)
}
