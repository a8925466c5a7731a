//! Shows the accuracy of methods on each kind of tasks. An average over kinds hides a coin flip and a floor.

use super::paired::{Difference, described, difference_in};
use super::runs::Runs;
use super::tables::{percent, table};
use crate::held_out::{Digits, kind_name};
use crate::record::Record;

/// Kinds that are shown together: their letters, and their name.
fn rows_of(runs: &Runs, family: &str) -> Vec<(String, String)> {
    let letters: String =
        runs.cold(family).first().map(|record| record.held_out.kinds.clone()).unwrap_or_default();
    let mut kinds: Vec<char> = letters.chars().filter(|kind| *kind != '?').collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut rows: Vec<(String, String)> =
        kinds.iter().map(|kind| (kind.to_string(), kind_name(family, *kind))).collect();
    if kinds.contains(&'y') && kinds.contains(&'n') {
        // A held-out set with more of one than of the other rewards a constant answer.
        rows.push(("yn".into(), "yes/no, both alike".into()));
    }
    rows
}

/// Returns the mean over the letters of the share of right samples, in per cent.
fn share(record: &Record, letters: &str, digits: Digits) -> Option<f64> {
    let shares: Option<Vec<f64>> =
        letters.chars().map(|kind| record.held_out.share(&kind.to_string(), digits)).collect();
    shares.map(|shares| turnwise_stats::mean(&shares))
}

/// Writes right answers by kind: the cold starts and every method, means over seeds.
pub(super) fn shares(runs: &Runs) -> String {
    let mut rows = Vec::new();
    for family in &runs.families {
        let of = |letters: &str, records: Vec<&Record>| {
            let found: Vec<f64> =
                records.iter().filter_map(|record| share(record, letters, Digits::Right)).collect();
            if found.is_empty() { "–".into() } else { percent(turnwise_stats::mean(&found)) }
        };
        for (letters, name) in rows_of(runs, family) {
            let mut row = vec![family.clone(), name, of(&letters, runs.cold(family))];
            row.extend(runs.methods.iter().map(|method| of(&letters, runs.get(family, method))));
            rows.push(row);
        }
    }
    let methods: Vec<String> = runs.methods.iter().map(|method| format!("`{method}`")).collect();
    let heads = ["family", "kind", "cold start"];
    table(&heads.into_iter().chain(methods.iter().map(String::as_str)).collect::<Vec<_>>(), &rows)
}

/// Writes `method − baseline` by kind, without tests.
pub(super) fn differences(runs: &Runs, baseline: &str, method: &str) -> String {
    let mut found: Vec<Difference> = Vec::new();
    for family in &runs.families {
        for (letters, name) in rows_of(runs, family) {
            let value = |record: &Record| share(record, &letters, Digits::Right);
            let difference = difference_in(&runs.get(family, baseline), &runs.get(family, method), value);
            found.extend(difference.map(|mut found| {
                found.family = format!("{family}, {name}");
                found
            }));
        }
    }
    described(&found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::COLD_START;
    use crate::plan::Plan;
    use crate::record::{append, tests::record};

    #[test]
    fn a_constant_answer_gains_nothing_where_both_truths_count_alike() {
        let folder = tempfile::tempdir().unwrap();
        let committed = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("plan.toml");
        let mut plan: toml::Table = std::fs::read_to_string(committed).unwrap().parse().unwrap();
        let rates = plan["experiments"]["rates"].as_table_mut().unwrap();
        for (key, value) in [("families", vec!["lookup"]), ("methods", vec!["grpo_min", "gtpo"])] {
            rates.insert(key.into(), value.into());
        }
        rates.insert("seeds".into(), 2.into());
        rates.insert("rates".into(), vec![1e-4].into());
        std::fs::write(folder.path().join("plan.toml"), toml::to_string(&plan).unwrap()).unwrap();
        let add = |method: &str, seed, right: &str| {
            let mut record = record(method, seed, 0.5);
            record.family = "lookup".into();
            record.rate = if method == COLD_START { 0.0 } else { 1e-4 };
            record.held_out.right = right.into();
            record.held_out.kinds = "2yyn".into();
            append(&folder.path().join("data/rates.jsonl"), &record).unwrap();
        };
        for seed in 0..2 {
            add(COLD_START, seed, "0444");
            add("grpo_min", seed, "4444");
            // Always yes.
            add("gtpo", seed, "6880");
        }
        let runs = Runs::of(&Plan::read(folder.path()).unwrap(), "rates").unwrap().unwrap();
        let shares = shares(&runs);
        assert!(shares.contains("| lookup | yes/no, truth yes | 50.0 % | 50.0 % | 100.0 % |"), "{shares}");
        assert!(shares.contains("| lookup | yes/no, both alike | 50.0 % | 50.0 % | 50.0 % |"), "{shares}");
        let differences = differences(&runs, "grpo_min", "gtpo");
        assert!(differences.contains("| lookup, 2 hops | gtpo − grpo_min | 2 | +25.0 |"), "{differences}");
    }
}
