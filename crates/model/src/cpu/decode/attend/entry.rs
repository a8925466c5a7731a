//! The numbers of keys and values.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use pulp::Simd;

use crate::cpu::decode::cache::BLOCK;

/// Stores one or more numbers of a key or a value.
pub(in crate::cpu::decode) trait Entry: Copy + Sync {
    /// Numbers of an entry.
    const NUMBERS: usize;

    /// Computes `q·k` of `N` queries, `[D]` each, and the keys of a block.
    ///
    /// # Shapes
    /// - `keys`: `[D / NUMBERS, BLOCK]`
    /// - `scores`: `[BLOCK]` of each query
    fn dots<S: Simd, const N: usize>(simd: S, q: [&[f32]; N], keys: &[Self], scores: [&mut [f32]; N]);

    /// Adds weighted values that lie `width` entries apart to `N` outputs, one value after the other.
    ///
    /// # Shapes
    /// - `weights`: `[S]` of each output
    /// - `out`: `[D]` each
    fn add_weighted<S: Simd, const N: usize>(
        simd: S,
        weights: [&[f32]; N],
        values: &[Self],
        width: usize,
        out: [&mut [f32]; N],
    );
}

impl Entry for f32 {
    const NUMBERS: usize = 1;

    #[inline(always)]
    fn dots<S: Simd, const N: usize>(simd: S, q: [&[f32]; N], keys: &[f32], scores: [&mut [f32]; N]) {
        let half = q[0].len() / 2;
        let (low, high) = keys.split_at(half * BLOCK);
        let (high, last) = high.split_at(half * BLOCK);
        let q: [_; N] = q.map(|q| (&q[..half], &q[half..2 * half], q.get(2 * half)));
        for at in (0..BLOCK).step_by(S::F32_LANES) {
            let vector = |keys: &[f32]| S::as_simd_f32s(&keys[at..at + S::F32_LANES]).0[0];
            // Two sums of each query, since an addition waits for the one before it.
            let mut sums = [[simd.splat_f32s(0.0); 2]; N];
            for (d, (low, high)) in low.chunks_exact(BLOCK).zip(high.chunks_exact(BLOCK)).enumerate() {
                let (low, high) = (vector(low), vector(high));
                for i in 0..N {
                    sums[i][0] = simd.mul_add_f32s(low, simd.splat_f32s(q[i].0[d]), sums[i][0]);
                    sums[i][1] = simd.mul_add_f32s(high, simd.splat_f32s(q[i].1[d]), sums[i][1]);
                }
            }
            for i in 0..N {
                if let Some(q) = q[i].2 {
                    sums[i][1] = simd.mul_add_f32s(vector(last), simd.splat_f32s(*q), sums[i][1]);
                }
                let sum = simd.add_f32s(sums[i][0], sums[i][1]);
                S::as_mut_simd_f32s(&mut scores[i][at..at + S::F32_LANES]).0[0] = sum;
            }
        }
    }

    #[inline(always)]
    fn add_weighted<S: Simd, const N: usize>(
        simd: S,
        weights: [&[f32]; N],
        values: &[f32],
        width: usize,
        mut out: [&mut [f32]; N],
    ) {
        let (dim, lanes) = (out[0].len(), S::F32_LANES);
        // As many sums as there are registers for.
        let most = if lanes < 16 { 2 } else { 4 };
        let mut at = 0;
        while at + lanes <= dim {
            let out = &mut out.each_mut().map(|out| &mut out[at..]);
            if at + most * lanes > dim {
                add_vectors::<S, N, 1>(simd, weights, &values[at..], width, out);
                at += lanes;
            } else if most == 2 {
                add_vectors::<S, N, 2>(simd, weights, &values[at..], width, out);
                at += 2 * lanes;
            } else {
                add_vectors::<S, N, 4>(simd, weights, &values[at..], width, out);
                at += 4 * lanes;
            }
        }
        for i in 0..N {
            for (weight, value) in weights[i].iter().zip(values.chunks(width)) {
                for (out, value) in out[i][at..].iter_mut().zip(&value[at..dim]) {
                    *out += weight * value;
                }
            }
        }
    }
}

/// Adds the first `V` vectors of weighted values.
#[inline(always)]
fn add_vectors<S: Simd, const N: usize, const V: usize>(
    simd: S,
    weights: [&[f32]; N],
    values: &[f32],
    width: usize,
    out: &mut [&mut [f32]; N],
) {
    let count = values.len().div_ceil(width);
    let weights = weights.map(|weights| &weights[..count]);
    let mut sums: [[S::f32s; V]; N] =
        std::array::from_fn(|i| std::array::from_fn(|v| S::as_simd_f32s(out[i]).0[v]));
    for (t, value) in values.chunks(width).enumerate() {
        let value = S::as_simd_f32s(&value[..V * S::F32_LANES]).0;
        for i in 0..N {
            let weight = simd.splat_f32s(weights[i][t]);
            for v in 0..V {
                sums[i][v] = simd.mul_add_f32s(weight, value[v], sums[i][v]);
            }
        }
    }
    for i in 0..N {
        S::as_mut_simd_f32s(out[i]).0[..V].copy_from_slice(&sums[i]);
    }
}
