//! Chooses the learning rate of each method: the one with the best mean held-out accuracy over the tuning
//! seeds.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use crate::cell::COLD_START;
use crate::plan::{Plan, Rates};
use crate::record::{Record, load};

/// Writes `rates.toml`: adds the rates of methods that have none yet. An existing rate is frozen.
pub(crate) fn write(plan: &Plan, name: &str) -> Result<()> {
    let records = load(&plan.data(name))?;
    let tuned = plan.experiment(name)?;
    if tuned.rates.is_empty() {
        bail!("the experiment {name} tries no rates");
    }
    let cells = plan.cells(tuned, &Rates::new())?;
    let missing = cells.iter().filter(|cell| !records.iter().any(|record| record.is_of(cell))).count();
    if missing > 0 {
        bail!("{missing} runs of the experiment {name} are missing\n  hint: just experiment {name}");
    }
    let mut rates = plan.rates()?;
    for (family, found) in best(&records) {
        for (method, rate) in found {
            rates.entry(family.clone()).or_default().entry(method).or_insert(rate);
        }
    }
    let text = toml::to_string(&rates).context("rates as TOML")?;
    let path = plan.file("rates.toml");
    std::fs::write(
        &path,
        format!(
            "# Chosen by `just choose-rates` from the tuning runs in data/. What is here is frozen.\n{text}"
        ),
    )
    .with_context(|| format!("{}: cannot write", path.display()))?;
    crate::tell(&path.display().to_string());
    Ok(())
}

/// Returns the best rate by family and method, and of equals the lowest.
pub(crate) fn best(records: &[Record]) -> Rates {
    // By family and method: the rates in order of appearance, each with the accuracies of its seeds.
    type Tried = Vec<(f64, Vec<f64>)>;
    let mut tried: BTreeMap<(String, String), Tried> = BTreeMap::new();
    for record in records.iter().filter(|record| record.method != COLD_START) {
        let rates = tried.entry((record.family.clone(), record.method.clone())).or_default();
        match rates.iter_mut().find(|(rate, _)| *rate == record.rate) {
            Some((_, found)) => found.push(record.held_out.accuracy),
            None => rates.push((record.rate, vec![record.held_out.accuracy])),
        }
    }
    let mut best = Rates::new();
    for ((family, method), mut rates) in tried {
        rates.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut chosen = (0.0, f64::NEG_INFINITY);
        for (rate, found) in rates {
            let mean = turnwise_stats::mean(&found);
            if mean > chosen.1 {
                chosen = (rate, mean);
            }
        }
        best.entry(family).or_default().insert(method, chosen.0);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;

    #[test]
    fn the_best_mean_wins_and_of_equals_the_lowest_rate() {
        let at = |rate: f64, method: &str, seed, accuracy| Record { rate, ..record(method, seed, accuracy) };
        let records = [
            at(1e-3, "a", 0, 0.9),
            at(1e-3, "a", 1, 0.1),
            at(1e-4, "a", 0, 0.6),
            at(1e-4, "a", 1, 0.5),
            at(3e-4, "b", 0, 0.5),
            at(1e-4, "b", 0, 0.5),
            at(0.0, COLD_START, 0, 0.99),
        ];
        let of = BTreeMap::from([("a".to_string(), 1e-4), ("b".to_string(), 1e-4)]);
        assert_eq!(best(&records), Rates::from([("arithmetic".to_string(), of)]));
    }
}
