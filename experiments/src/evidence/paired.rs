//! Differences between methods on the same seeds: t and BCa bootstrap intervals, Holm over the comparisons of a table.

use turnwise_stats::{Interval, holm, mean, paired_bootstrap, paired_t};

use super::tables::{points, table};
use crate::record::Record;

const CONFIDENCE: f64 = 0.95;
/// Bootstrap resamples, and their seed: the same records make the same page.
const RESAMPLES: usize = 10_000;
const SEED: u64 = 0;

/// One method against another.
struct Difference {
    family: String,
    name: String,
    seeds: usize,
    points: f64,
    /// Relative to the mean of the method it is compared with.
    relative: f64,
    t: Interval,
    bca: Interval,
    p: f64,
}

/// `b − a` over the seeds of a family that both have; none of fewer than two.
fn difference(a: &[&Record], b: &[&Record]) -> Option<Difference> {
    let mut pairs: Vec<(u64, f64, f64)> = Vec::new();
    for left in a {
        let right = b.iter().find(|right| right.seed == left.seed);
        pairs.extend(right.map(|right| (left.seed, left.held_out.accuracy, right.held_out.accuracy)));
    }
    pairs.sort_by_key(|pair| pair.0);
    let (left, right): (Vec<f64>, Vec<f64>) = pairs.iter().map(|pair| (pair.1, pair.2)).unzip();
    let test = paired_t(&left, &right, CONFIDENCE)?;
    Some(Difference {
        family: a[0].family.clone(),
        name: format!("{} − {}", b[0].method, a[0].method),
        seeds: test.pairs,
        points: test.difference,
        relative: test.difference / mean(&left),
        t: test.interval,
        bca: paired_bootstrap(&left, &right, RESAMPLES, SEED, CONFIDENCE)?,
        p: test.p,
    })
}

fn of<'a>(records: &'a [Record], family: &str, method: &str) -> Vec<&'a Record> {
    records.iter().filter(|record| record.family == family && record.method == method).collect()
}

/// GTPO against both baselines in every family.
pub(super) fn hypotheses(main: &[Record]) -> String {
    let families = super::families(main);
    let pairs = families.iter().flat_map(|family| ["grpo_min", "grpo"].map(|baseline| (family, baseline)));
    let found = pairs
        .filter_map(|(family, baseline)| difference(&of(main, family, baseline), &of(main, family, "gtpo")));
    rows(&found.collect::<Vec<_>>())
}

/// Every other method against GTPO.
pub(super) fn controls(records: &[Record], main: &[Record]) -> String {
    let mut methods: Vec<(&str, &str)> =
        records.iter().map(|record| (record.family.as_str(), record.method.as_str())).collect();
    methods.sort_unstable();
    methods.dedup();
    let found = methods
        .into_iter()
        .filter(|(_, method)| *method != crate::plan::COLD_START)
        .filter_map(|(family, method)| difference(&of(main, family, "gtpo"), &of(records, family, method)));
    rows(&found.collect::<Vec<_>>())
}

fn rows(found: &[Difference]) -> String {
    let adjusted = holm(&found.iter().map(|difference| difference.p).collect::<Vec<_>>());
    let interval = |i: Interval| format!("{} … {}", points(i.low), points(i.high));
    let row = |(d, p): (&Difference, f64)| {
        vec![
            d.family.clone(),
            d.name.clone(),
            d.seeds.to_string(),
            points(d.points),
            format!("{} %", points(d.relative)),
            interval(d.t),
            interval(d.bca),
            format!("{:.4}", d.p),
            format!("{p:.4}"),
        ]
    };
    let rows: Vec<Vec<String>> = found.iter().zip(adjusted).map(row).collect();
    let heads = [
        "family",
        "difference",
        "seeds",
        "points",
        "relative",
        "95 % (t)",
        "95 % (BCa)",
        "p (t)",
        "p (Holm)",
    ];
    table(&heads, &rows)
}
