use super::super::testing::{check, numbers};
use super::*;
use crate::rope_config::RopeScaling;

/// Query heads, key/value heads, their size, tokens of each row, and the window.
type Case<'a> = (usize, usize, usize, &'a [usize], Option<usize>);

const CASES: &[Case<'_>] = &[
    (1, 1, 2, &[1], None),
    (2, 1, 8, &[5, 3], None),
    (4, 2, 12, &[9, 0, 17], None),
    (3, 3, 32, &[40], None),
    (2, 2, 64, &[33, 34], Some(7)),
    (2, 1, 20, &[70], Some(32)),
];

fn config(case: &Case<'_>) -> AttentionConfig {
    let &(query, key_value, dim, _, window) = case;
    AttentionConfig { window, ..AttentionConfig::new(query, key_value, dim) }
}

/// Computes attention by its formula over rows of `[N, heads·D]`.
fn textbook(case: &Case<'_>, [q, k, v]: &[Vec<f64>; 3]) -> Vec<f64> {
    let &(heads, groups, dim, lengths, window) = case;
    let cell = |row: usize, t: usize| lengths[..row].iter().sum::<usize>() + t;
    let rotated = |x: &[f64], all: usize, row: usize, head: usize, d: usize, t: usize| {
        let at = |d: usize| x[(cell(row, t) * all + head) * dim + d];
        let half = dim / 2;
        let angle = t as f64 * 10_000_f64.powf(-2.0 * (d % half) as f64 / dim as f64);
        let other = if d < half { -at(d + half) } else { at(d - half) };
        at(d) * angle.cos() + other * angle.sin()
    };
    let mut out = vec![0.0; q.len()];
    for (row, &length) in lengths.iter().enumerate() {
        for (head, t) in (0..heads).flat_map(|head| (0..length).map(move |t| (head, t))) {
            let group = head / (heads / groups);
            let oldest = window.map_or(0, |w| (t + 1).saturating_sub(w));
            let score = |s: usize| {
                (0..dim)
                    .map(|d| rotated(q, heads, row, head, d, t) * rotated(k, groups, row, group, d, s))
                    .sum::<f64>()
                    / (dim as f64).sqrt()
            };
            let weights: Vec<f64> = (oldest..=t).map(|s| score(s).exp()).collect();
            let total: f64 = weights.iter().sum();
            for d in 0..dim {
                let value = |s: usize| v[(cell(row, s) * groups + group) * dim + d];
                let sum: f64 = weights.iter().zip(oldest..).map(|(weight, s)| weight * value(s)).sum();
                out[(cell(row, t) * heads + head) * dim + d] = sum / total;
            }
        }
    }
    out
}

#[test]
fn it_is_the_formula_and_its_slopes() {
    for case in CASES {
        let &(heads, groups, dim, lengths, _) = case;
        let tokens: usize = lengths.iter().sum();
        let inputs = [(heads, 1), (groups, 2), (groups, 3)].map(|(h, seed)| numbers(tokens * h * dim, seed));
        let op = FusedAttention::new(&config(case), &batch(lengths));
        check(&op, &inputs, |inputs| textbook(case, inputs));
    }
}

fn batch(lengths: &[usize]) -> TokenBatch {
    TokenBatch::new(&lengths.iter().map(|&length| vec![0; length]).collect::<Vec<_>>())
}

#[test]
fn a_sequence_does_not_depend_on_its_batch_or_on_threads() {
    // The second case is longer than the trained context, so its angles depend on the length.
    let dynamic = RopeScaling::Dynamic { factor: 2.0, original_max_position: 16 };
    for scaling in [None, Some(dynamic)] {
        alone_and_in_company(scaling);
    }
}

fn alone_and_in_company(scaling: Option<RopeScaling>) {
    let case: Case<'_> = (4, 2, 16, &[33, 7], None);
    let mut config = config(&case);
    config.rope.scaling = scaling;
    let of = |lengths: &[usize]| {
        let op = FusedAttention::new(&config, &batch(lengths));
        let matrix = |heads: usize, seed| {
            let mut all = numbers(33 * heads * 16, seed);
            all.resize(lengths.iter().sum::<usize>() * heads * 16, 0.5);
            all
        };
        let (q, k, v) = (matrix(4, 1), matrix(2, 2), matrix(2, 3));
        let mut out = op.forward([&q, &k, &v]).0;
        out.truncate(33 * 4 * 16);
        out
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let alone = of(&[33]);
    assert_eq!(alone, of(&[33, 40]));
    assert_eq!(alone, pool.install(|| of(&[33, 40])));
}
