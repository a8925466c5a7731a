//! Compares methods on the same seeds: t and BCa bootstrap intervals, Holm over the comparisons of a table.

use std::collections::BTreeMap;

use serde::Serialize;
use turnwise_stats::{Interval, holm, mean, paired_bootstrap, paired_t};

use super::tables::{points, table};
use crate::plan::Measure;
use crate::record::Record;

const CONFIDENCE: f64 = 0.95;
/// Bootstrap resamples, and their seed. The same records make the same page.
const RESAMPLES: usize = 10_000;
const SEED: u64 = 0;

/// A method against another one.
pub(super) struct Difference {
    pub(super) family: String,
    pub(super) name: String,
    /// The letters of the kinds of tasks that are compared. Empty for all.
    pub(super) kinds: String,
    pub(super) measure: Measure,
    methods: [String; 2],
    pub(super) seeds: usize,
    pub(super) points: f64,
    /// The difference relative to the mean of the baseline; none for an interaction.
    relative: Option<f64>,
    pub(super) t: Interval,
    bca: Interval,
    p: f64,
}

/// Compares the held-out avg@8 of `b − a` over the seeds that both have, or returns none for fewer than two.
pub(super) fn difference(a: &[&Record], b: &[&Record]) -> Option<Difference> {
    difference_in(a, b, |record| Some(record.held_out.accuracy))
}

/// Compares another value, over the seeds where both have it.
pub(super) fn difference_in(
    a: &[&Record],
    b: &[&Record],
    value: impl Fn(&Record) -> Option<f64>,
) -> Option<Difference> {
    let (left, right): (Vec<f64>, Vec<f64>) = pairs(a, b, &value).into_values().unzip();
    paired(a, b, &left, &right)
}

/// Compares how much `b − a` gains in one setting with what it gains in another one, over the seeds that both
/// have: `(b − a)` of `there` less that of `here`.
pub(super) fn interaction_in(
    here: [&[&Record]; 2],
    there: [&[&Record]; 2],
    value: impl Fn(&Record) -> Option<f64>,
) -> Option<Difference> {
    let gain = |(left, right): &(f64, f64)| right - left;
    let here: BTreeMap<u64, f64> =
        pairs(here[0], here[1], &value).iter().map(|(seed, pair)| (*seed, gain(pair))).collect();
    let of_both = pairs(there[0], there[1], &value);
    let of_both = of_both.iter().filter_map(|(seed, pair)| Some((*here.get(seed)?, gain(pair))));
    let (left, right): (Vec<f64>, Vec<f64>) = of_both.unzip();
    Some(Difference { relative: None, ..paired(there[0], there[1], &left, &right)? })
}

/// Returns both values by seed, where both have them.
fn pairs(a: &[&Record], b: &[&Record], value: impl Fn(&Record) -> Option<f64>) -> BTreeMap<u64, (f64, f64)> {
    let of = |left: &&Record| {
        let right = b.iter().find(|right| right.seed == left.seed)?;
        Some((left.seed, (value(left)?, value(right)?)))
    };
    a.iter().filter_map(of).collect()
}

fn paired(a: &[&Record], b: &[&Record], left: &[f64], right: &[f64]) -> Option<Difference> {
    let test = paired_t(left, right, CONFIDENCE)?;
    Some(Difference {
        family: a[0].family.clone(),
        name: format!("{} − {}", b[0].method, a[0].method),
        kinds: String::new(),
        measure: Measure::Right,
        methods: [a[0].method.clone(), b[0].method.clone()],
        seeds: test.pairs,
        points: test.difference,
        relative: Some(test.difference / mean(left)),
        t: test.interval,
        bca: paired_bootstrap(left, right, RESAMPLES, SEED, CONFIDENCE)?,
        p: test.p,
    })
}

/// Returns the verdict of the pre-registration's rule, from values before they are rounded.
fn verdict(difference: &Difference, adjusted: f64) -> &'static str {
    let sure = adjusted < 0.05;
    if sure && difference.points > 0.0 && difference.bca.low > 0.0 {
        "above"
    } else if sure && difference.points < 0.0 && difference.bca.high < 0.0 {
        "below"
    } else {
        "open"
    }
}

/// Writes registered comparisons: with tests, and Holm over all of them.
pub(super) fn tested(found: &[Difference]) -> String {
    let adjusted = holm(&found.iter().map(|difference| difference.p).collect::<Vec<_>>());
    let row = |(d, adjusted): (&Difference, f64)| {
        let mut row = estimate(d);
        row.extend([interval(d.bca), probability(d.p), probability(adjusted), verdict(d, adjusted).into()]);
        row
    };
    let rows: Vec<Vec<String>> = found.iter().zip(adjusted).map(row).collect();
    let tests = ["95 % (BCa)", "p (t)", "p (Holm)", "verdict"];
    table(&[&HEADS[..], &tests[..]].concat(), &rows)
}

/// A comparison for the program that recomputes it: shares instead of points, the interval by t.
#[derive(Serialize)]
struct Tested<'a> {
    set: &'a str,
    family: Option<&'a str>,
    kinds: &'a str,
    measure: Measure,
    baseline: &'a str,
    method: &'a str,
    seeds: usize,
    difference: f64,
    low: f64,
    high: f64,
    p: f64,
    holm: f64,
}

/// Returns the registered comparisons of a set, each as a line of JSON.
pub(super) fn recorded(set: &str, found: &[Difference]) -> Vec<String> {
    let adjusted = holm(&found.iter().map(|difference| difference.p).collect::<Vec<_>>());
    let entry = |(d, holm): (&Difference, f64)| {
        let tested = Tested {
            set,
            family: d.family.split(',').next(),
            kinds: &d.kinds,
            measure: d.measure,
            baseline: &d.methods[0],
            method: &d.methods[1],
            seeds: d.seeds,
            difference: d.points,
            low: d.t.low,
            high: d.t.high,
            p: d.p,
            holm,
        };
        serde_json::to_string(&tested).expect("a comparison holds finite numbers")
    };
    found.iter().zip(adjusted).map(entry).collect()
}

/// Writes comparisons that weren't registered, without tests.
pub(super) fn described(found: &[Difference]) -> String {
    table(&HEADS, &found.iter().map(estimate).collect::<Vec<_>>())
}

const HEADS: [&str; 6] = ["family", "difference", "seeds", "points", "relative", "95 % (t)"];

fn estimate(d: &Difference) -> Vec<String> {
    vec![
        d.family.clone(),
        d.name.clone(),
        d.seeds.to_string(),
        points(d.points),
        d.relative.map_or_else(String::new, |relative| format!("{} %", points(relative))),
        interval(d.t),
    ]
}

fn interval(of: Interval) -> String {
    format!("{} … {}", points(of.low), points(of.high))
}

fn probability(p: f64) -> String {
    if p < 0.0001 { "< 0.0001".into() } else { format!("{p:.4}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;

    #[test]
    fn an_interaction_is_the_difference_of_two_differences() {
        let runs = |method: &str, accuracies: [f64; 3]| -> Vec<Record> {
            accuracies.into_iter().zip(0..).map(|(accuracy, seed)| record(method, seed, accuracy)).collect()
        };
        let all = [
            runs("a", [0.5, 0.4, 0.6]),
            runs("b", [0.55, 0.45, 0.6]),
            runs("a", [0.2, 0.3, 0.2]),
            runs("b", [0.35, 0.4, 0.3]),
        ];
        let of = all.each_ref().map(|runs| runs.iter().collect::<Vec<_>>());
        let value = |record: &Record| Some(record.held_out.accuracy);
        let found = interaction_in([&of[0], &of[1]], [&of[2], &of[3]], value).unwrap();
        // Gains of 0.15, 0.10 and 0.10 where they were 0.05, 0.05 and 0.
        assert!((found.points - 0.25 / 3.0).abs() < 1e-12, "{}", found.points);
        assert_eq!((found.seeds, found.name.as_str(), found.relative), (3, "b − a", None));
        assert!(described(&[found]).contains("| +8.3 |  | "), "no relative difference is shown");
    }

    #[test]
    fn the_verdict_needs_test_interval_and_sign() {
        let runs = |method: &str, gains: &[f64]| -> Vec<Record> {
            gains.iter().zip(0..).map(|(gain, seed)| record(method, seed, 0.5 + gain)).collect()
        };
        let of = |gains: &[f64]| {
            let (a, b) = (runs("a", &[0.0; 6]), runs("b", gains));
            let (a, b): (Vec<&Record>, Vec<&Record>) = (a.iter().collect(), b.iter().collect());
            difference(&a, &b).unwrap()
        };
        let sure = of(&[0.05, 0.06, 0.04, 0.05, 0.06, 0.05]);
        assert_eq!((verdict(&sure, 0.01), verdict(&sure, 0.05)), ("above", "open"));
        assert_eq!(verdict(&of(&[-0.05, -0.06, -0.04, -0.05, -0.06, -0.05]), 0.01), "below");
        assert_eq!(verdict(&of(&[0.05, -0.06, 0.04, -0.05, 0.06, 0.0]), 0.01), "open");
        assert!(tested(&[sure]).contains("| arithmetic | b − a | 6 | +5.2 | +10.3 % |"));
    }
}
