//! Shows learning rates: those that the tuning runs chose, and methods at equal rates.

use turnwise_stats::mean;

use super::paired::{described, difference};
use super::runs::Runs;
use super::tables::{percent, table};
use crate::plan::Rates;

/// Writes held-out accuracy by rate, mean and seeds, with the chosen rate in bold.
pub(super) fn tuning(runs: &Runs, chosen: &Rates) -> String {
    let mut rates = runs.rates.clone();
    rates.sort_by(f64::total_cmp);
    let mut rows = Vec::new();
    for family in &runs.families {
        for method in &runs.methods {
            let cell = |rate: &f64| {
                let values: Vec<f64> =
                    runs.at(family, method, *rate).iter().map(|record| record.held_out.accuracy).collect();
                let seeds: Vec<String> = values.iter().map(|value| format!("{:.1}", 100.0 * value)).collect();
                let text = format!("{} ({})", percent(mean(&values)), seeds.join(", "));
                if chosen.get(family).and_then(|of| of.get(method)) == Some(rate) {
                    format!("**{text}**")
                } else {
                    text
                }
            };
            rows.push(
                [vec![family.clone(), format!("`{method}`")], rates.iter().map(cell).collect()].concat(),
            );
        }
    }
    let names: Vec<String> = rates.iter().map(|rate| format!("{rate:e}")).collect();
    let heads: Vec<&str> = ["family", "method"].into_iter().chain(names.iter().map(String::as_str)).collect();
    table(&heads, &rows)
}

/// Returns the rate of each method.
pub(super) fn used(runs: &Runs) -> String {
    let rate = |family: &str, method: &str| match runs.get(family, method).first() {
        Some(record) => format!("{:e}", record.rate),
        None => "–".into(),
    };
    let row = |family: &String| {
        std::iter::once(family.clone())
            .chain(runs.methods.iter().map(|method| rate(family, method)))
            .collect()
    };
    let heads: Vec<&str> = std::iter::once("family").chain(runs.methods.iter().map(String::as_str)).collect();
    table(&heads, &runs.families.iter().map(row).collect::<Vec<_>>())
}

/// Compares `method` with the others where all have the same rate.
pub(super) fn at_equal_rates(runs: &Runs, method: &str) -> String {
    let mut found = Vec::new();
    for family in &runs.families {
        for rate in &runs.rates {
            for other in runs.methods.iter().filter(|other| *other != method) {
                let difference = difference(&runs.at(family, other, *rate), &runs.at(family, method, *rate));
                found.extend(difference.map(|mut found| {
                    found.name = format!("{} at {rate:e}", found.name);
                    found
                }));
            }
        }
    }
    described(&found)
}
