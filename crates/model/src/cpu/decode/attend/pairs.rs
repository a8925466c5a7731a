//! Pairs of numbers in bf16: entry `i` of a head holds its numbers `i` and `i + D / 2`, the first in the
//! lower half. Whole vectors of either are then a shift or a mask away.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use half::bf16;
use pulp::Simd;

use super::entry::Entry;

/// The second number of a pair.
const HIGH: u32 = 0xffff_0000;

/// Rounds rows of heads of `dim` numbers, which are even.
pub(in crate::cpu::decode) fn to_pairs(rows: &[f32], dim: usize) -> Vec<u32> {
    let bits = |x: f32| u32::from(bf16::from_f32(x).to_bits());
    let heads = rows.chunks_exact(dim).map(|head| head.split_at(dim / 2));
    heads
        .flat_map(|(low, high)| low.iter().zip(high).map(|(low, high)| bits(*low) | bits(*high) << 16))
        .collect()
}

fn parts(pair: u32) -> [f32; 2] {
    [pair << 16, pair & HIGH].map(f32::from_bits)
}

#[inline(always)]
fn wide_parts<S: Simd>(simd: S, pairs: S::u32s) -> [S::f32s; 2] {
    let low = simd.wrapping_dyn_shl_u32s(pairs, simd.splat_u32s(16));
    [low, simd.and_u32s(pairs, simd.splat_u32s(HIGH))].map(|bits| simd.transmute_f32s_u32s(bits))
}

impl Entry for u32 {
    const NUMBERS: usize = 2;

    #[inline(always)]
    fn dots<S: Simd, const N: usize>(simd: S, q: &[f32], keys: &[u32], width: usize, scores: &mut [f32]) {
        let count = q.len() / 2;
        let (low, high) = q.split_at(count);
        let ((low_head, low_tail), (high_head, high_tail)) = (S::as_simd_f32s(low), S::as_simd_f32s(high));
        let keys: [_; N] = std::array::from_fn(|i| S::as_simd_u32s(&keys[i * width..][..count]));
        let mut sums = [simd.splat_f32s(0.0); N];
        for (at, (low, high)) in low_head.iter().zip(high_head).enumerate() {
            for i in 0..N {
                let key = wide_parts(simd, keys[i].0[at]);
                sums[i] = simd.mul_add_f32s(key[0], *low, sums[i]);
                sums[i] = simd.mul_add_f32s(key[1], *high, sums[i]);
            }
        }
        for i in 0..N {
            let tails = keys[i].1.iter().zip(low_tail.iter().zip(high_tail));
            let tail: f32 = tails
                .map(|(pair, (low, high))| {
                    let key = parts(*pair);
                    key[0] * low + key[1] * high
                })
                .sum();
            scores[i] = simd.reduce_sum_f32s(sums[i]) + tail;
        }
    }

    #[inline(always)]
    fn add_weighted<S: Simd, const N: usize>(
        simd: S,
        weights: &[f32],
        values: &[u32],
        width: usize,
        out: &mut [f32],
    ) {
        let count = out.len() / 2;
        let (low, high) = out.split_at_mut(count);
        let ((low_head, low_tail), (high_head, high_tail)) =
            (S::as_mut_simd_f32s(low), S::as_mut_simd_f32s(high));
        let values: [_; N] = std::array::from_fn(|i| S::as_simd_u32s(&values[i * width..][..count]));
        let wide: [_; N] = std::array::from_fn(|i| simd.splat_f32s(weights[i]));
        for (at, (low, high)) in low_head.iter_mut().zip(high_head).enumerate() {
            for i in 0..N {
                let value = wide_parts(simd, values[i].0[at]);
                *low = simd.mul_add_f32s(wide[i], value[0], *low);
                *high = simd.mul_add_f32s(wide[i], value[1], *high);
            }
        }
        for (at, (low, high)) in low_tail.iter_mut().zip(high_tail).enumerate() {
            for i in 0..N {
                let value = parts(values[i].1[at]);
                *low += weights[i] * value[0];
                *high += weights[i] * value[1];
            }
        }
    }
}
