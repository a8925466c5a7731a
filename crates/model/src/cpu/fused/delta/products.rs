//! Products of small matrices, all row by row, in the same order on every processor.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use pulp::Simd;

use crate::cpu::simd::add_rows;

/// Adds `a·b` to `out`, which has `n` columns.
///
/// # Shapes
/// - `a`: `[m, k]`, `b`: `[k, n]` → `[m, n]`
#[inline(always)]
pub(super) fn multiply<S: Simd>(simd: S, a: &[f32], b: &[f32], n: usize, out: &mut [f32]) {
    let depth = b.len() / n;
    for (a, out) in a.chunks_exact(depth).zip(out.chunks_exact_mut(n)) {
        add_rows(simd, depth, |k| a[k], b, out);
    }
}

/// Adds `aᵀ·b` to `out`, which has `n` columns.
///
/// # Shapes
/// - `a`: `[k, m]`, `b`: `[k, n]` → `[m, n]`
#[inline(always)]
pub(super) fn multiply_transposed<S: Simd>(simd: S, a: &[f32], b: &[f32], n: usize, out: &mut [f32]) {
    let (depth, rows) = (b.len() / n, out.len() / n);
    for (i, out) in out.chunks_exact_mut(n).enumerate() {
        add_rows(simd, depth, |k| a[k * rows + i], b, out);
    }
}

/// Transposes `[rows, columns]`.
#[inline(always)]
pub(super) fn transpose(matrix: &[f32], columns: usize) -> Vec<f32> {
    let rows = matrix.len() / columns;
    let mut out = vec![0.0; matrix.len()];
    for (at, row) in matrix.chunks_exact(columns).enumerate() {
        for (out, value) in out[at..].iter_mut().step_by(rows).zip(row) {
            *out = *value;
        }
    }
    out
}

/// Returns `a·b` of two rows, in sixteen lanes.
#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
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
