//! The forward pass: the weights of a block of queries, and the weighted sums of values.

#![expect(clippy::inline_always, reason = "code under `with_simd` becomes one function")]

use pulp::{Simd, WithSimd};

use super::heads::{Size, Unit};
use super::{COLUMNS, ROWS, Row};
use crate::cpu::simd::{TALL, Target, WIDE, bound, exps, row_max, tile};

impl Unit<'_> {
    /// Returns `[share, rows, wide]` and the two statistics of every query's row.
    pub(super) fn forward(&self, [q, k, v]: [&[f32]; 3]) -> (Vec<f32>, Vec<Row>) {
        let (size, plan) = (self.size(), self.plan);
        let q = self.queries().rotated(q, self.angles(), plan.factors[0]);
        let k = size.transposed(&self.keys().rotated(k, self.angles(), plan.factors[1]));
        let v = self.keys().read(v);
        let (mut out, mut rows) = (vec![0.0; q.len()], vec![[0.0; 2]; self.share() * size.tokens]);
        let mut weights = vec![0.0; ROWS * size.rows];
        if size.tokens > 0 {
            let heads = q.chunks_exact(size.buffer()).zip(out.chunks_exact_mut(size.buffer()));
            for ((q, out), rows) in heads.zip(rows.chunks_exact_mut(size.tokens)) {
                let (k, v, weights) = (&k, &v, &mut weights);
                plan.cpu.run(Forward { size, q, k, v, weights, out, rows });
            }
        }
        (out, rows)
    }
}

/// One head of queries.
struct Forward<'a> {
    size: Size<'a>,
    /// `[rows, wide]`.
    q: &'a [f32],
    /// `[wide, rows]`.
    k: &'a [f32],
    /// `[rows, wide]`.
    v: &'a [f32],
    /// `[ROWS, rows]`.
    weights: &'a mut [f32],
    /// `[rows, wide]`.
    out: &'a mut [f32],
    rows: &'a mut [Row],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { size, q, k, v, weights, out, rows } = self;
        for start in (0..size.tokens).step_by(ROWS) {
            let block = Block::new(&size, start);
            block.scores(simd, (q, k), weights);
            for (i, row) in weights.chunks_exact_mut(size.rows).enumerate() {
                let row = &mut row[block.first..block.end];
                let Some(saved) = rows.get_mut(start + i) else {
                    row.fill(0.0);
                    continue;
                };
                if let Some(cap) = size.softcap() {
                    bound(row, cap);
                }
                block.hide(i, row);
                let max = row_max(simd, row);
                let sum = exps(simd, row, max);
                *saved = [max, 1.0 / sum];
            }
            block.mix(simd, weights, v, &mut out[start * size.wide..]);
            let out = &mut out[start * size.wide..];
            for (row, [_, scale]) in out.chunks_exact_mut(size.wide).zip(&rows[start..]).take(ROWS) {
                for value in row {
                    *value *= scale;
                }
            }
        }
    }
}

/// Holds a block of queries and the keys that any of them sees.
pub(super) struct Block<'a> {
    pub(super) size: &'a Size<'a>,
    /// The first query.
    pub(super) start: usize,
    /// The first key, rounded down to a tile.
    pub(super) first: usize,
    /// The end of the keys, rounded up to a tile.
    pub(super) end: usize,
}

impl<'a> Block<'a> {
    pub(super) fn new(size: &'a Size<'a>, start: usize) -> Self {
        let last = (start + ROWS).min(size.tokens) - 1;
        Self {
            size,
            start,
            first: size.visible(start).start / COLUMNS * COLUMNS,
            end: size.visible(last).end.next_multiple_of(COLUMNS),
        }
    }

    /// Computes `a·b` of the block's rows of `a`, `[rows, wide]`, and `b`, `[wide, rows]`, at the keys of the
    /// block.
    #[inline(always)]
    pub(super) fn scores<S: Simd>(&self, simd: S, (a, b): (&[f32], &[f32]), out: &mut [f32]) {
        let Size { dim, wide, rows, .. } = *self.size;
        for top in (0..ROWS).step_by(TALL) {
            let a: [&[f32]; TALL] = [0, 1, 2, 3].map(|i| &a[(self.start + top + i) * wide..][..dim]);
            for column in (self.first..self.end).step_by(WIDE * S::F32_LANES) {
                let target = Target { out: &mut out[top * rows..], stride: rows, add: false };
                let at = |k: usize| [a[0][k], a[1][k], a[2][k], a[3][k]];
                tile::<S, TALL, WIDE>(simd, dim, at, (b, rows, column), target);
            }
        }
    }

    /// Computes `out = weights·b` of `b`, `[rows, wide]`, for the block's rows.
    #[inline(always)]
    pub(super) fn mix<S: Simd>(&self, simd: S, weights: &[f32], b: &[f32], out: &mut [f32]) {
        let Size { wide, rows, .. } = *self.size;
        let depth = self.end - self.first;
        for top in (0..ROWS).step_by(TALL) {
            let weights: [&[f32]; TALL] =
                [0, 1, 2, 3].map(|i| &weights[(top + i) * rows + self.first..][..depth]);
            for column in (0..wide).step_by(WIDE * S::F32_LANES) {
                let target = Target { out: &mut out[top * wide..], stride: wide, add: false };
                let at = |k: usize| [weights[0][k], weights[1][k], weights[2][k], weights[3][k]];
                tile::<S, TALL, WIDE>(simd, depth, at, (&b[self.first * wide..], wide, column), target);
            }
        }
    }

    /// Sets the scores of keys that a row's query doesn't see to `-∞`.
    pub(super) fn hide(&self, row: usize, scores: &mut [f32]) {
        let visible = self.size.visible(self.start + row);
        scores[..visible.start - self.first].fill(f32::NEG_INFINITY);
        scores[visible.end - self.first..].fill(f32::NEG_INFINITY);
    }
}
