//! Attention of one token over the keys and values of its sequence.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

mod entry;
mod pairs;

use pulp::{Simd, WithSimd};

use crate::cpu::simd::{bound, exps, row_max};
pub(super) use entry::Entry;
pub(super) use pairs::to_pairs;

/// Keys and values that are read together.
const AT_ONCE: usize = 4;

/// Computes attention of a query's heads that share keys over the keys and values of their sequence.
pub(super) struct Attend<'a, E> {
    /// `[H / K, D]`, rotated and multiplied by the factor of scores.
    pub(super) q: &'a [f32],
    /// `[S, K, D]` in two parts: the keys that the query sees.
    pub(super) keys: [&'a [E]; 2],
    /// The same of values.
    pub(super) values: [&'a [E]; 2],
    /// Index of their head of keys.
    pub(super) head: usize,
    /// `D`.
    pub(super) dim: usize,
    /// `K·D`.
    pub(super) width: usize,
    /// Bound of scores, if there is one.
    pub(super) softcap: Option<f32>,
    /// `[H / K, D]`.
    pub(super) out: &'a mut [f32],
}

impl<E: Entry> WithSimd for Attend<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { q, keys, values, head, dim, width, softcap, out } = self;
        // Entries of a token, and the first of the head.
        let (width, at) = (width / E::NUMBERS, head * dim / E::NUMBERS);
        let split = keys[0].len() / width;
        let seen = split + keys[1].len() / width;
        // Whole vectors; entries behind the last key have no weight.
        let mut all = vec![f32::NEG_INFINITY; seen.next_multiple_of(S::F32_LANES)];
        for (q, out) in q.chunks_exact(dim).zip(out.chunks_exact_mut(dim)) {
            let (first, second) = all[..seen].split_at_mut(split);
            for (scores, keys) in [first, second].into_iter().zip(keys) {
                score_keys(simd, q, keys, (at, width), scores);
            }
            if let Some(cap) = softcap {
                bound(&mut all[..seen], cap);
            }
            let max = row_max(simd, &all);
            let scale = 1.0 / exps(simd, &mut all, max);
            let scores = &mut all[..seen];
            for score in &mut *scores {
                *score *= scale;
            }
            out.fill(0.0);
            let (first, second) = scores.split_at(split);
            for (weights, values) in [first, second].into_iter().zip(values) {
                add_values(simd, weights, values, (at, width), out);
            }
            all[seen..].fill(f32::NEG_INFINITY);
        }
    }
}

/// Computes `q·k` for every key, each from its entry `at` on.
#[inline(always)]
fn score_keys<S: Simd, E: Entry>(
    simd: S,
    q: &[f32],
    keys: &[E],
    (at, width): (usize, usize),
    scores: &mut [f32],
) {
    let (fours, rest) = scores.split_at_mut(scores.len() / AT_ONCE * AT_ONCE);
    let (key_fours, key_rest) = keys.split_at(fours.len() * width);
    for (scores, keys) in fours.chunks_exact_mut(AT_ONCE).zip(key_fours.chunks_exact(AT_ONCE * width)) {
        E::dots::<S, AT_ONCE>(simd, q, &keys[at..], width, scores);
    }
    for (score, key) in rest.iter_mut().zip(key_rest.chunks_exact(width)) {
        E::dots::<S, 1>(simd, q, &key[at..], width, std::slice::from_mut(score));
    }
}

/// Adds every value times its weight, each from its entry `at` on.
#[inline(always)]
fn add_values<S: Simd, E: Entry>(
    simd: S,
    weights: &[f32],
    values: &[E],
    (at, width): (usize, usize),
    out: &mut [f32],
) {
    let (fours, rest) = weights.split_at(weights.len() / AT_ONCE * AT_ONCE);
    let (value_fours, value_rest) = values.split_at(fours.len() * width);
    for (weights, values) in fours.chunks_exact(AT_ONCE).zip(value_fours.chunks_exact(AT_ONCE * width)) {
        E::add_weighted::<S, AT_ONCE>(simd, weights, &values[at..], width, out);
    }
    for (weight, value) in rest.iter().zip(value_rest.chunks_exact(width)) {
        E::add_weighted::<S, 1>(simd, std::slice::from_ref(weight), &value[at..], width, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::Cpu;

    /// Attends with all heads, a group that shares keys at a time.
    fn attend_all<E: Entry>(
        q: &[f32],
        [keys, values]: [[&[E]; 2]; 2],
        (share, dim, width): (usize, usize, usize),
    ) -> Vec<f32> {
        let mut all = vec![0.0; q.len()];
        let groups = q.chunks_exact(share * dim).zip(all.chunks_exact_mut(share * dim));
        for (head, (q, out)) in groups.enumerate() {
            Cpu::detect().run(Attend { q, keys, values, head, dim, width, softcap: None, out });
        }
        all
    }

    /// Checks that attention over pairs is that over the rounded numbers.
    fn check_pairs([q, keys, values]: [&[f32]; 3], (share, dim, width): (usize, usize, usize)) {
        let rounded = |numbers: &[f32]| -> Vec<f32> {
            numbers.iter().map(|x| half::bf16::from_f32(*x).to_f32()).collect()
        };
        let (near_keys, near_values) = (rounded(keys), rounded(values));
        let (pair_keys, pair_values) = (to_pairs(keys, dim), to_pairs(values, dim));
        let split = [pair_keys.split_at(width / 2).into(), pair_values.split_at(width / 2).into()];
        let found = attend_all(q, split, (share, dim, width));
        let exact = attend_all(q, [[&near_keys[..], &[]], [&near_values[..], &[]]], (share, dim, width));
        for (found, exact) in found.iter().zip(&exact) {
            assert!((found - exact).abs() < 1e-4, "{found}, not {exact}");
        }
    }

    #[test]
    fn attention_is_that_of_the_textbook_wherever_keys_are_cut() {
        for (seen, dim) in [(1, 8), (4, 32), (7, 20), (33, 64)] {
            let (share, width) = (2, 3 * dim);
            let number = |at: usize| ((at * 7919 + seen) % 1009) as f32 / 500.0 - 1.0;
            let q: Vec<f32> = (0..2 * width).map(number).collect();
            let keys: Vec<f32> = (0..seen * width).map(|at| number(at + 13)).collect();
            let values: Vec<f32> = (0..seen * width).map(|at| number(at + 101)).collect();
            let cut_at = |split: usize| {
                let (keys, values) = (keys.split_at(split * width), values.split_at(split * width));
                attend_all(&q, [keys.into(), values.into()], (share, dim, width))
            };
            let out = cut_at(0);
            check_pairs([&q, &keys, &values], (share, dim, width));
            for split in 1..=seen {
                assert_eq!(cut_at(split), out, "{split} of {seen} keys apart");
            }
            for (head, (q, out)) in q.chunks(dim).zip(out.chunks(dim)).enumerate() {
                let of = |column: &[f32], t: usize, d: usize| {
                    f64::from(column[t * width + head / share * dim + d])
                };
                let dot = |t: usize| (0..dim).map(|d| f64::from(q[d]) * of(&keys, t, d)).sum::<f64>();
                let weights: Vec<f64> = (0..seen).map(|t| dot(t).exp()).collect();
                for (d, out) in out.iter().enumerate() {
                    let sum: f64 = (0..seen).map(|t| weights[t] * of(&values, t, d)).sum();
                    let exact = sum / weights.iter().sum::<f64>();
                    assert!(
                        (f64::from(*out) - exact).abs() < 1e-4,
                        "{seen} seen, head {head}: {out}, not {exact}"
                    );
                }
            }
        }
    }
}
