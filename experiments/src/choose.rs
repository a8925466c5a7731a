//! The learning rate of each method: the one with the best mean held-out accuracy over the tuning seeds.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use crate::plan::{COLD_START, Plan, Rates};
use crate::record::{Record, load};

/// Writes `rates.toml`. Once there are records that used it, it is frozen.
pub(crate) fn write(plan: &Plan) -> Result<()> {
    for name in ["main", "controls"] {
        let used = plan.file("data").join(format!("{name}.jsonl"));
        if load(&used)?.iter().any(|record| record.method != COLD_START) {
            bail!("{} holds runs with the rates chosen before: they are frozen", used.display());
        }
    }
    let records = load(&plan.file("data/tune.jsonl"))?;
    let tune = plan.experiment("tune")?;
    let missing = plan
        .cells(tune, &Rates::new())?
        .into_iter()
        .filter(|cell| !records.iter().any(|record| record.is_of(cell)))
        .count();
    if missing > 0 {
        bail!("{missing} runs of the experiment tune are missing\n  hint: just experiment tune");
    }
    let text = toml::to_string(&best(&records)).context("rates as TOML")?;
    let path = plan.file("rates.toml");
    std::fs::write(&path, format!("# Chosen by `just choose-rates` from data/tune.jsonl.\n{text}"))
        .with_context(|| format!("{}: cannot write", path.display()))?;
    println!("{}", path.display());
    Ok(())
}

/// The best rate by family and method; of equals the lowest.
pub(crate) fn best(records: &[Record]) -> Rates {
    // By family and method: the rates in order of appearance, each with what its seeds reached.
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
