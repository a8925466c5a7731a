//! Pairs of numbers in bf16: entry `i` of a head holds its numbers `i` and `i + D / 2`, the first in the
//! lower half. Whole vectors of either are then a shift or a mask away.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use half::bf16;
use pulp::Simd;

use super::entry::Entry;
use crate::cpu::decode::cache::BLOCK;

/// The second number of a pair.
const HIGH: u32 = 0xffff_0000;

/// Rounds rows of heads of `dim` numbers, which are even.
pub(in crate::cpu::decode) fn to_pairs(rows: &[f32], dim: usize) -> Vec<u32> {
    let bits = |x: f32| u32::from(bf16::from_f32(x).to_bits());
    let mut pairs = vec![0; rows.len() / 2];
    for (head, pairs) in rows.chunks_exact(dim).zip(pairs.chunks_exact_mut(dim / 2)) {
        let (low, high) = head.split_at(dim / 2);
        for ((pair, low), high) in pairs.iter_mut().zip(low).zip(high) {
            *pair = bits(*low) | bits(*high) << 16;
        }
    }
    pairs
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
    fn dots<S: Simd, const N: usize>(simd: S, q: [&[f32]; N], keys: &[u32], scores: [&mut [f32]; N]) {
        let half = q[0].len() / 2;
        let q = q.map(|q| q.split_at(half)).map(|(low, high)| (low, &high[..half]));
        for at in (0..BLOCK).step_by(S::F32_LANES) {
            // Two sums of each query, since an addition waits for the one before it.
            let mut sums = [[simd.splat_f32s(0.0); 2]; N];
            for (d, pairs) in keys.chunks_exact(BLOCK).take(half).enumerate() {
                let [low, high] = wide_parts(simd, S::as_simd_u32s(&pairs[at..at + S::F32_LANES]).0[0]);
                for i in 0..N {
                    sums[i][0] = simd.mul_add_f32s(low, simd.splat_f32s(q[i].0[d]), sums[i][0]);
                    sums[i][1] = simd.mul_add_f32s(high, simd.splat_f32s(q[i].1[d]), sums[i][1]);
                }
            }
            for i in 0..N {
                let sum = simd.add_f32s(sums[i][0], sums[i][1]);
                S::as_mut_simd_f32s(&mut scores[i][at..at + S::F32_LANES]).0[0] = sum;
            }
        }
    }

    #[inline(always)]
    fn add_weighted<S: Simd, const N: usize>(
        simd: S,
        weights: [&[f32]; N],
        values: &[u32],
        width: usize,
        out: [&mut [f32]; N],
    ) {
        let (half, lanes) = (out[0].len() / 2, S::F32_LANES);
        let mut out = out.map(|out| out.split_at_mut(half));
        let mut at = 0;
        while at + lanes <= half {
            let out = &mut out.each_mut().map(|(low, high)| [&mut low[at..], &mut high[at..]]);
            // As many sums as there are registers for.
            if lanes < 16 || at + 2 * lanes > half {
                add_vectors::<S, N, 1>(simd, weights, &values[at..], width, out);
                at += lanes;
            } else {
                add_vectors::<S, N, 2>(simd, weights, &values[at..], width, out);
                at += 2 * lanes;
            }
        }
        for i in 0..N {
            let (low, high) = &mut out[i];
            for (weight, pairs) in weights[i].iter().zip(values.chunks(width)) {
                for (at, pair) in pairs[..half].iter().enumerate().skip(at) {
                    let value = parts(*pair);
                    low[at] += weight * value[0];
                    high[at] += weight * value[1];
                }
            }
        }
    }
}

/// Adds the first `V` vectors of pairs of weighted values, to the lower and the upper half of each output.
#[inline(always)]
fn add_vectors<S: Simd, const N: usize, const V: usize>(
    simd: S,
    weights: [&[f32]; N],
    values: &[u32],
    width: usize,
    out: &mut [[&mut [f32]; 2]; N],
) {
    let count = values.len().div_ceil(width);
    let weights = weights.map(|weights| &weights[..count]);
    let sums = |out: &[&mut [f32]; 2]| -> [[S::f32s; 2]; V] {
        std::array::from_fn(|v| out.each_ref().map(|half| S::as_simd_f32s(half).0[v]))
    };
    let mut sums: [_; N] = std::array::from_fn(|i| sums(&out[i]));
    for (t, pairs) in values.chunks(width).enumerate() {
        let pairs = S::as_simd_u32s(&pairs[..V * S::F32_LANES]).0;
        let value: [_; V] = std::array::from_fn(|v| wide_parts(simd, pairs[v]));
        for i in 0..N {
            let weight = simd.splat_f32s(weights[i][t]);
            for v in 0..V {
                for part in 0..2 {
                    sums[i][v][part] = simd.mul_add_f32s(weight, value[v][part], sums[i][v][part]);
                }
            }
        }
    }
    for i in 0..N {
        for part in 0..2 {
            let half = S::as_mut_simd_f32s(&mut *out[i][part]).0;
            (0..V).for_each(|v| half[v] = sums[i][v][part]);
        }
    }
}
