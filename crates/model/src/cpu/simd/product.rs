//! The inner part of matrix products, in registers.

use pulp::Simd;

/// Rows of a tile, and vectors per row.
pub(crate) const TALL: usize = 4;
pub(crate) const WIDE: usize = 2;

/// Describes the destination of a tile.
pub(crate) struct Target<'a> {
    pub(crate) out: &'a mut [f32],
    /// Entries from one row to the next.
    pub(crate) stride: usize,
    /// Whether the tile is added to the destination.
    pub(crate) add: bool,
}

/// Computes `out[i][..] = Σ_k a(k)[i] · b[k][..]` for `M` rows and `W` vectors of columns, in the order of
/// `k`.
///
/// The rows of `b` lie `stride` apart, and the tile begins at its `column`.
#[inline(always)]
pub(crate) fn tile<S: Simd, const M: usize, const W: usize>(
    simd: S,
    depth: usize,
    a: impl Fn(usize) -> [f32; M],
    (b, stride, column): (&[f32], usize, usize),
    target: Target<'_>,
) {
    let width = W * S::F32_LANES;
    let mut sums = [[simd.splat_f32s(0.0); W]; M];
    for (k, row) in b.chunks_exact(stride).take(depth).enumerate() {
        let row = S::as_simd_f32s(&row[column..][..width]).0;
        let factors = a(k);
        for (sums, factor) in sums.iter_mut().zip(factors) {
            let factor = simd.splat_f32s(factor);
            for (sum, b) in sums.iter_mut().zip(row) {
                *sum = simd.mul_add_f32s(factor, *b, *sum);
            }
        }
    }
    let Target { out, stride, add } = target;
    for (i, sums) in sums.into_iter().enumerate() {
        let out = S::as_mut_simd_f32s(&mut out[i * stride + column..][..width]).0;
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = if add { simd.add_f32s(*out, sum) } else { sum };
        }
    }
}

/// Rows that are added together.
const AT_ONCE: usize = 4;

/// Adds `Σ_k weight(k)·rows[k]` to a row, for the first `count` rows of a matrix of as many columns.
#[inline(always)]
pub(crate) fn add_rows<S: Simd>(
    simd: S,
    count: usize,
    weight: impl Fn(usize) -> f32,
    rows: &[f32],
    out: &mut [f32],
) {
    let width = out.len();
    let whole = count / AT_ONCE * AT_ONCE;
    for k in (0..whole).step_by(AT_ONCE) {
        let weights = [weight(k), weight(k + 1), weight(k + 2), weight(k + 3)];
        add_weighted::<S, AT_ONCE>(simd, &weights, &rows[k * width..], width, out);
    }
    for k in whole..count {
        add_weighted::<S, 1>(simd, &[weight(k)], &rows[k * width..], width, out);
    }
}

/// Adds `N` weighted values that lie `width` apart, one after the other.
#[inline(always)]
fn add_weighted<S: Simd, const N: usize>(
    simd: S,
    weights: &[f32],
    values: &[f32],
    width: usize,
    out: &mut [f32],
) {
    let values: [_; N] = std::array::from_fn(|i| S::as_simd_f32s(&values[i * width..][..out.len()]));
    let wide: [_; N] = std::array::from_fn(|i| simd.splat_f32s(weights[i]));
    let (out_head, out_tail) = S::as_mut_simd_f32s(out);
    let heads: [_; N] = std::array::from_fn(|i| &values[i].0[..out_head.len()]);
    for (at, o) in out_head.iter_mut().enumerate() {
        let mut sum = *o;
        for i in 0..N {
            sum = simd.mul_add_f32s(wide[i], heads[i][at], sum);
        }
        *o = sum;
    }
    for (at, o) in out_tail.iter_mut().enumerate() {
        for i in 0..N {
            *o += weights[i] * values[i].1[at];
        }
    }
}

/// Returns `a·b`, summed in sixteen lanes in the same order on every processor.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let (a_lanes, b_lanes) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail: f32 = a_lanes.remainder().iter().zip(b_lanes.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_lanes.zip(b_lanes) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + tail
}
