//! Shows where turn-level credit may hurt: what the groups of an update reward, and how trajectories begin.

use std::collections::BTreeSet;

use turnwise_stats::mean;

use super::runs::Runs;
use super::tables::{percent, table};
use crate::record::Record;

/// Updates at either end of a run that are averaged.
const END: usize = 5;

/// Returns a quotient of two sums over some updates of runs that all have them.
fn quotient(of: &[&Record], above: &str, below: Option<&str>, updates: fn(&[f64]) -> &[f64]) -> Option<f64> {
    let pairs = of.iter().map(|record| {
        let value = |key: &str| mean(updates(&record.curve[key]));
        (value(above), below.map_or(1.0, value))
    });
    let (above, below): (Vec<f64>, Vec<f64>) = pairs.unzip();
    let below = mean(&below);
    (!above.is_empty() && below != 0.0).then(|| mean(&above) / below)
}

fn first(values: &[f64]) -> &[f64] {
    &values[..END.min(values.len())]
}

fn last(values: &[f64]) -> &[f64] {
    &values[values.len().saturating_sub(END)..]
}

fn all(values: &[f64]) -> &[f64] {
    values
}

/// A column: its head, numerator and denominator, and format.
struct Column {
    head: &'static str,
    above: &'static str,
    below: Option<&'static str>,
    write: fn(f64) -> String,
    /// Whether it shows the change from the first updates to the last. Otherwise it's over all of them.
    moves: bool,
}

const fn column(head: &'static str, above: &'static str, below: Option<&'static str>, moves: bool) -> Column {
    Column { head, above, below, write: percent, moves }
}

fn turns(value: f64) -> String {
    format!("{value:.2}")
}

fn signed(value: f64) -> String {
    format!("{}{:.3}", if value < 0.0 { "−" } else { "+" }, value.abs())
}

/// Returns the seeds of a family for which every method recorded the keys of a column. The first seeds lack
/// some, and not in all methods.
fn common(runs: &Runs, family: &str, column: &Column) -> BTreeSet<u64> {
    let needs = || std::iter::once(column.above).chain(column.below);
    let has = |record: &&Record| needs().all(|key| record.curve.contains_key(key));
    let of = |method: &String| -> BTreeSet<u64> {
        runs.get(family, method).into_iter().filter(has).map(|record| record.seed).collect()
    };
    runs.methods.iter().map(of).reduce(|a, b| &a & &b).unwrap_or_default()
}

fn rows(runs: &Runs, columns: &[Column]) -> String {
    let mut rows = Vec::new();
    for family in &runs.families {
        let seeds: Vec<BTreeSet<u64>> = columns.iter().map(|column| common(runs, family, column)).collect();
        let counts: BTreeSet<usize> = seeds.iter().map(BTreeSet::len).collect();
        let counts = counts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        for method in &runs.methods {
            let cell = |(c, seeds): (&Column, &BTreeSet<u64>)| {
                let mut of = runs.get(family, method);
                of.retain(|record| seeds.contains(&record.seed));
                let value = |updates| quotient(&of, c.above, c.below, updates).map_or("–".into(), c.write);
                if c.moves { format!("{} → {}", value(first), value(last)) } else { value(all) }
            };
            let mut row = vec![family.clone(), format!("`{method}`"), counts.clone()];
            row.extend(columns.iter().zip(&seeds).map(cell));
            rows.push(row);
        }
    }
    let heads: Vec<&str> =
        ["family", "method", "seeds"].into_iter().chain(columns.iter().map(|c| c.head)).collect();
    table(&heads, &rows)
}

/// Writes the table of length and format.
pub(super) fn behaviour(runs: &Runs) -> String {
    let columns = [
        Column { write: turns, ..column("turns", "turns", None, true) },
        Column { write: turns, ..column("turns of right ones", "turns_of_right", Some("accuracy"), true) },
        column("violations", "violations", None, true),
        column("begin without a call", "first_turn_no_call", None, true),
        column("begin with a call that fails", "first_call_failed", None, true),
        column("begin with an idle call", "first_call_idle", None, true),
    ];
    rows(runs, &columns)
}

/// Writes which groups the gradient comes from, and what they reward.
pub(super) fn groups(runs: &Runs) -> String {
    let columns = [
        column("groups all right", "groups_all_right", None, true),
        column("their weight", "weight_all_right", Some("weight"), false),
        Column {
            write: signed,
            ..column("pay for length there", "brevity_all_right", Some("groups_all_right"), false)
        },
        Column { write: signed, ..column("pay for length anywhere", "brevity", None, false) },
        column("groups all wrong", "groups_all_wrong", None, true),
        column("their weight", "weight_all_wrong", Some("weight"), false),
        column("violations there", "violations_all_wrong", Some("turns_all_wrong"), true),
    ];
    rows(runs, &columns)
}
