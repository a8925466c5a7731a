//! Shows the cost of credit: the time between rewards and advantages, as a share of an update.

use super::runs::Runs;
use super::tables::table;
use crate::record::Record;

/// Writes medians over runs. The other methods are compared with `baseline`.
pub(super) fn overhead(runs: &Runs, baseline: &str, others: &[(&str, &Runs)]) -> String {
    let mut rows = Vec::new();
    for family in &runs.families {
        let base = runs.get(family, baseline);
        let (base_score, base_update) =
            (median(&base, |record| record.seconds.score), median(&base, |record| record.seconds.total()));
        let own = runs.methods.iter().map(|method| (method.as_str(), runs.get(family, method)));
        let more = others.iter().map(|(method, runs)| (*method, runs.get(family, method)));
        for (method, of) in own.chain(more).filter(|(_, of)| !of.is_empty()) {
            let score = median(&of, |record| record.seconds.score);
            let updates = of[0].curve.values().map(Vec::len).max().unwrap_or(1) as f64;
            let sign = if score < base_score { "−" } else { "+" };
            rows.push(vec![
                family.clone(),
                format!("`{method}`"),
                format!("{:.3} ms", 1e3 * score / updates),
                format!("{:.0} ms", 1e3 * median(&of, |record| record.seconds.total()) / updates),
                format!("{sign}{:.3} %", 100.0 * (score - base_score).abs() / base_update),
            ]);
        }
    }
    let over = format!("over `{baseline}`, of its update");
    table(&["family", "method", "credit, each update", "an update", &over], &rows)
}

fn median(of: &[&Record], value: impl Fn(&Record) -> f64) -> f64 {
    let mut values: Vec<f64> = of.iter().map(|record| value(record)).collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}
