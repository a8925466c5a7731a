//! Attention of one token over the keys and values of its sequence.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

mod entry;
mod pairs;

use pulp::{Simd, WithSimd};

use super::cache::{BLOCK, Seen};
use crate::cpu::simd::{bound, exps, row_max};
pub(super) use entry::Entry;
pub(super) use pairs::to_pairs;

/// Queries that keys and values are read once for.
const AT_ONCE: usize = 4;

/// Computes attention of a query's heads that share keys over the keys and values of their sequence.
pub(super) struct Attend<'a, E> {
    /// `[H / K, D]`, rotated and multiplied by the factor of scores.
    pub(super) q: &'a [f32],
    /// The keys and values that the query sees.
    pub(super) seen: Seen<'a, E>,
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
        let Self { q, seen, head, dim, width, softcap, out } = self;
        // Entries of a token, and the first of the head.
        let heads = Heads { seen, width: width / E::NUMBERS, at: head * dim / E::NUMBERS, softcap };
        let scored = heads.scored();
        let mut scores = vec![0.0; AT_ONCE.min(q.len() / dim) * scored];
        for (q, out) in q.chunks(AT_ONCE * dim).zip(out.chunks_mut(AT_ONCE * dim)) {
            match q.len() / dim {
                1 => heads.attend::<S, 1>(simd, q, &mut scores, out),
                2 => heads.attend::<S, 2>(simd, q, &mut scores, out),
                3 => heads.attend::<S, 3>(simd, q, &mut scores, out),
                _ => heads.attend::<S, AT_ONCE>(simd, q, &mut scores, out),
            }
        }
    }
}

/// Holds the keys and values of heads that share them.
struct Heads<'a, E> {
    seen: Seen<'a, E>,
    /// Entries of a token.
    width: usize,
    /// Entry at which the head begins in a token.
    at: usize,
    softcap: Option<f32>,
}

impl<E: Entry> Heads<'_, E> {
    /// Returns the number of keys in the blocks.
    fn scored(&self) -> usize {
        self.seen.keys.iter().map(|keys| keys.len()).sum::<usize>() / self.width
    }

    /// # Shapes
    /// - `q`, `out`: `[N, D]`
    /// - `scores`: `[N, scored]` at least
    #[inline(always)]
    fn attend<S: Simd, const N: usize>(&self, simd: S, q: &[f32], scores: &mut [f32], out: &mut [f32]) {
        let (dim, scored) = (q.len() / N, self.scored());
        let q: [&[f32]; N] = std::array::from_fn(|i| &q[i * dim..][..dim]);
        let mut rows = scores.chunks_exact_mut(scored);
        let mut scores: [&mut [f32]; N] = std::array::from_fn(|_| rows.next().expect("a row for each query"));
        self.score(simd, q, &mut scores);
        let values = self.seen.values.map(|values| values.len() / self.width);
        let skipped = self.seen.skipped;
        for scores in &mut scores {
            // Keys of a block that the query doesn't see have no weight.
            let (before, rest) = scores.split_at_mut(skipped);
            let (seen, after) = rest.split_at_mut(values[0] + values[1]);
            before.fill(f32::NEG_INFINITY);
            after.fill(f32::NEG_INFINITY);
            if let Some(cap) = self.softcap {
                bound(seen, cap);
            }
            let max = row_max(simd, scores);
            let scale = 1.0 / exps(simd, scores, max);
            for score in &mut **scores {
                *score *= scale;
            }
        }
        out.fill(0.0);
        let mut rows = out.chunks_exact_mut(dim);
        let mut out: [&mut [f32]; N] = std::array::from_fn(|_| rows.next().expect("a row for each query"));
        let mut first = skipped;
        for (values, count) in self.seen.values.iter().zip(values) {
            if count > 0 {
                let weights = scores.each_ref().map(|scores| &scores[first..first + count]);
                let out = out.each_mut().map(|out| &mut **out);
                E::add_weighted::<S, N>(simd, weights, &values[self.at..], self.width, out);
            }
            first += count;
        }
    }

    /// Computes `q·k` for every key of every block.
    #[inline(always)]
    fn score<S: Simd, const N: usize>(&self, simd: S, q: [&[f32]; N], scores: &mut [&mut [f32]; N]) {
        let blocks = self.seen.keys.iter().flat_map(|keys| keys.chunks_exact(self.width * BLOCK));
        for (block, keys) in blocks.enumerate() {
            let scores = scores.each_mut().map(|scores| &mut scores[block * BLOCK..][..BLOCK]);
            E::dots::<S, N>(simd, q, &keys[self.at * BLOCK..], scores);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::Cpu;

    /// Holds the keys or the values of some heads, `[S, K, D]`, and the number of entries of a token.
    type Column<'a, E> = (&'a [E], usize);

    /// Lays keys out in blocks. Those after the last one are no numbers.
    fn blocks<E: Entry>((keys, width): Column<'_, E>, none: E) -> Vec<E> {
        let mut blocks = vec![none; (keys.len() / width).next_multiple_of(BLOCK) * width];
        for (at, key) in keys.iter().enumerate() {
            let (token, entry) = (at / width, at % width);
            blocks[token / BLOCK * BLOCK * width + entry * BLOCK + token % BLOCK] = *key;
        }
        blocks
    }

    /// Attends with all heads to tokens from `first` on, a group that shares keys at a time. Blocks from
    /// `split` on are in the second part.
    fn attend_all<E: Entry>(
        cpu: Cpu,
        q: &[f32],
        ([keys, values], none): ([Column<'_, E>; 2], E),
        (share, dim): (usize, usize),
        (first, split): (usize, usize),
    ) -> Vec<f32> {
        let (blocks, width) = (blocks(keys, none), keys.1);
        let (start, split) = (first / BLOCK * BLOCK, split * BLOCK);
        let keys = [&blocks[start * width..split * width], &blocks[split * width..]];
        let cut = (split * width).clamp(first * width, values.0.len());
        let values = [&values.0[first * width..cut], &values.0[cut..]];
        let seen = Seen { keys, values, skipped: first - start };
        let (mut all, width) = (vec![0.0; q.len()], width * E::NUMBERS);
        let groups = q.chunks_exact(share * dim).zip(all.chunks_exact_mut(share * dim));
        for (head, (q, out)) in groups.enumerate() {
            cpu.run(Attend { q, seen, head, dim, width, softcap: None, out });
        }
        all
    }

    /// Computes attention in f64.
    fn textbook(
        q: &[f32],
        [keys, values]: [&[f32]; 2],
        (share, dim): (usize, usize),
        first: usize,
    ) -> Vec<f64> {
        let width = q.len() / share;
        let head = |(head, q): (usize, &[f32])| -> Vec<f64> {
            let of =
                |column: &[f32], t: usize, d: usize| f64::from(column[t * width + head / share * dim + d]);
            let dot = |t: usize| (0..dim).map(|d| f64::from(q[d]) * of(keys, t, d)).sum::<f64>();
            let weights: Vec<f64> = (first..keys.len() / width).map(|t| dot(t).exp()).collect();
            let sum: f64 = weights.iter().sum();
            let mean = |d: usize| (first..).zip(&weights).map(|(t, w)| w / sum * of(values, t, d)).sum();
            (0..dim).map(mean).collect()
        };
        q.chunks(dim).enumerate().flat_map(head).collect()
    }

    fn assert_near(found: &[f32], exact: &[f64], of: &str) {
        for (found, exact) in found.iter().zip(exact) {
            assert!((f64::from(*found) - exact).abs() < 1e-4, "{of}: {found}, not {exact}");
        }
    }

    #[test]
    fn attention_is_that_of_the_textbook_wherever_keys_are_cut() {
        for (seen, share, dim) in [(1, 1, 8), (4, 2, 32), (7, 3, 20), (33, 4, 64), (50, 5, 33), (40, 9, 128)]
        {
            let width = 3 * dim;
            let number = |at: usize| ((at * 7919 + seen) % 1009) as f32 / 500.0 - 1.0;
            let q: Vec<f32> = (0..share * width).map(|at| number(at) / (dim as f32).sqrt()).collect();
            let keys: Vec<f32> = (0..seen * width).map(|at| number(at + 13)).collect();
            let values: Vec<f32> = (0..seen * width).map(|at| number(at + 101)).collect();
            let columns = ([(&keys[..], width), (&values[..], width)], f32::NAN);
            let rounded = |numbers: &[f32]| -> Vec<f32> {
                numbers.iter().map(|x| half::bf16::from_f32(*x).to_f32()).collect()
            };
            let (near_keys, near_values) = (rounded(&keys), rounded(&values));
            for (cpu, first) in Cpu::each().into_iter().flat_map(|cpu| [(cpu, 0), (cpu, seen / 2)]) {
                let exact = textbook(&q, [&keys, &values], (share, dim), first);
                let out = attend_all(cpu, &q, columns, (share, dim), (first, first / BLOCK));
                assert_near(&out, &exact, &format!("{seen} seen of {dim} numbers"));
                for split in first / BLOCK..=seen.div_ceil(BLOCK) {
                    let apart = attend_all(cpu, &q, columns, (share, dim), (first, split));
                    assert_eq!(apart, out, "{split} blocks of {seen} keys apart");
                }
                if dim.is_multiple_of(2) {
                    let (keys, values) = (to_pairs(&keys, dim), to_pairs(&values, dim));
                    let columns = ([(&keys[..], width / 2), (&values[..], width / 2)], u32::MAX);
                    let out = attend_all(cpu, &q, columns, (share, dim), (first, first / BLOCK));
                    let exact = textbook(&q, [&near_keys, &near_values], (share, dim), first);
                    assert_near(&out, &exact, &format!("pairs, {seen} seen of {dim} numbers"));
                }
            }
        }
    }
}
