//! Attention of one token over the keys and values of its sequence.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use pulp::{Simd, WithSimd};

use crate::cpu::simd::{add_weighted, bound, exps, row_max};

/// Keys and values that are read together.
const AT_ONCE: usize = 4;

/// Computes attention of one query row over the keys and values of its sequence.
pub(super) struct Attend<'a> {
    /// `[H, D]`, rotated and multiplied by the factor of scores.
    pub(super) q: &'a [f32],
    /// `[S, K, D]`: the keys that the query sees.
    pub(super) keys: &'a [f32],
    /// `[S, K, D]`.
    pub(super) values: &'a [f32],
    /// `H / K`.
    pub(super) share: usize,
    /// `D`.
    pub(super) dim: usize,
    /// `K·D`.
    pub(super) width: usize,
    /// Bound of scores, if there is one.
    pub(super) softcap: Option<f32>,
    /// `[H, D]`.
    pub(super) out: &'a mut [f32],
}

impl WithSimd for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { q, keys, values, share, dim, width, softcap, out } = self;
        let seen = keys.len() / width;
        // Whole vectors; entries behind the last key have no weight.
        let mut all = vec![f32::NEG_INFINITY; seen.next_multiple_of(S::F32_LANES)];
        for (head, (q, out)) in q.chunks_exact(dim).zip(out.chunks_exact_mut(dim)).enumerate() {
            let at = head / share * dim;
            let (fours, rest) = all[..seen].split_at_mut(seen / AT_ONCE * AT_ONCE);
            let (key_fours, key_rest) = keys.split_at(fours.len() * width);
            for (scores, keys) in fours.chunks_exact_mut(AT_ONCE).zip(key_fours.chunks_exact(AT_ONCE * width))
            {
                dots::<S, AT_ONCE>(simd, q, &keys[at..], width, scores);
            }
            for (score, key) in rest.iter_mut().zip(key_rest.chunks_exact(width)) {
                dots::<S, 1>(simd, q, &key[at..], width, std::slice::from_mut(score));
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
            let (fours, rest) = scores.split_at(seen / AT_ONCE * AT_ONCE);
            let (value_fours, value_rest) = values.split_at(fours.len() * width);
            for (weights, values) in
                fours.chunks_exact(AT_ONCE).zip(value_fours.chunks_exact(AT_ONCE * width))
            {
                add_weighted::<S, AT_ONCE>(simd, weights, &values[at..], width, out);
            }
            for (weight, value) in rest.iter().zip(value_rest.chunks_exact(width)) {
                add_weighted::<S, 1>(simd, std::slice::from_ref(weight), &value[at..], width, out);
            }
            all[seen..].fill(f32::NEG_INFINITY);
        }
    }
}

/// Computes `q·k` for each of `N` keys that lie `width` apart.
#[inline(always)]
fn dots<S: Simd, const N: usize>(simd: S, q: &[f32], keys: &[f32], width: usize, scores: &mut [f32]) {
    let (q_head, q_tail) = S::as_simd_f32s(q);
    let keys: [_; N] = std::array::from_fn(|i| S::as_simd_f32s(&keys[i * width..][..q.len()]));
    let heads: [_; N] = std::array::from_fn(|i| &keys[i].0[..q_head.len()]);
    let mut sums = [simd.splat_f32s(0.0); N];
    for (at, q) in q_head.iter().enumerate() {
        for i in 0..N {
            sums[i] = simd.mul_add_f32s(heads[i][at], *q, sums[i]);
        }
    }
    for i in 0..N {
        let tail: f32 = keys[i].1.iter().zip(q_tail).map(|(k, q)| k * q).sum();
        scores[i] = simd.reduce_sum_f32s(sums[i]) + tail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::Cpu;

    #[test]
    fn attention_is_that_of_the_textbook() {
        for (seen, dim) in [(1, 8), (4, 32), (7, 20), (33, 64)] {
            let (share, width) = (2, 3 * dim);
            let number = |at: usize| ((at * 7919 + seen) % 1009) as f32 / 500.0 - 1.0;
            let q: Vec<f32> = (0..2 * width).map(number).collect();
            let keys: Vec<f32> = (0..seen * width).map(|at| number(at + 13)).collect();
            let values: Vec<f32> = (0..seen * width).map(|at| number(at + 101)).collect();
            let mut out = vec![0.0; q.len()];
            Cpu::detect().run(Attend {
                q: &q,
                keys: &keys,
                values: &values,
                share,
                dim,
                width,
                softcap: None,
                out: &mut out,
            });
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
