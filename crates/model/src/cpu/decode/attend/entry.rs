//! The numbers of keys and values.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use pulp::Simd;

use crate::cpu::simd::add_weighted;

/// Stores one or more numbers of a key or a value.
pub(in crate::cpu::decode) trait Entry: Copy + Sync {
    /// Numbers of an entry.
    const NUMBERS: usize;

    /// Computes `q·k` for each of `N` keys that lie `width` entries apart.
    fn dots<S: Simd, const N: usize>(simd: S, q: &[f32], keys: &[Self], width: usize, scores: &mut [f32]);

    /// Adds `N` weighted values that lie `width` entries apart, one after the other.
    fn add_weighted<S: Simd, const N: usize>(
        simd: S,
        weights: &[f32],
        values: &[Self],
        width: usize,
        out: &mut [f32],
    );
}

impl Entry for f32 {
    const NUMBERS: usize = 1;

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

    #[inline(always)]
    fn add_weighted<S: Simd, const N: usize>(
        simd: S,
        weights: &[f32],
        values: &[f32],
        width: usize,
        out: &mut [f32],
    ) {
        add_weighted::<S, N>(simd, weights, values, width, out);
    }
}
