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
